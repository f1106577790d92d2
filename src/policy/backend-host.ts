import { normaliseHost } from '../routing/host.ts';
import type { OptionType } from './option-type.ts';

/** The Host field that backends get; null: the client's. `backend`: the host and port of the backend's URL. */
export type BackendHost = 'backend' | { readonly value: string } | null;

export const backendHost: OptionType<BackendHost> = {
  allowed: 'client, backend, or a host such as app.internal, with a port or not',
  parse(text) {
    if (text === 'client') return null;
    if (text === 'backend') return text;
    return normaliseHost(text) === null ? undefined : { value: text };
  },
};
