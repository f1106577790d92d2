import { listOf, type OptionType } from './option-type.ts';

const protocolsMax = 100;

/** RFC 9110 section 7.8. WebSocket needs no mention; the others would take the connection out of the proxy's sight. */
const protocol: OptionType<string> = {
  allowed: 'a name such as tcp or SPDY/3.1; not websocket, h2c, HTTP/… or TLS/…',
  parse(text) {
    const name = text.toLowerCase();
    if (!/^[!#$%&'*+.^_`|~0-9a-z-]+(?:\/[!#$%&'*+.^_`|~0-9a-z-]+)?$/.test(name)) return undefined;
    return /^(?:websocket|h2c|http\/.*|tls\/.*)$/.test(name) ? undefined : name;
  },
};

const list = listOf(protocol, protocolsMax);

/** Protocols besides WebSocket, in lower case; null: those of the configuration. */
export const upgrades: OptionType<ReadonlySet<string> | null> = {
  allowed: `${list.allowed}; or none, or configured`,
  parse(text, problems) {
    if (text === 'configured') return null;
    return new Set(text === 'none' ? [] : list.parse(text, problems));
  },
};
