import type { z } from 'zod';
import type { Config } from '../../config/config.ts';
import type { LiveExplanation, LiveQuestion } from '../../routing/live-explanation.ts';
import type { Operation } from '../operation.ts';
import type { OpenedStore } from '../store-access.ts';

/** Everything that an operation works with, besides its input and the store. */
export interface OperationMeans {
  /** Null for the defaults. */
  readonly config: Pick<Config, 'acme' | 'backendTls' | 'compat' | 'dns'> | null;
  /** Epoch milliseconds. */
  readonly now: () => number;
  /** Called with the steps of an operation that takes its time. */
  readonly onStep: (step: unknown) => void;
  /** Asks the workers of a running instance about a request; null if there is none to ask. */
  readonly askLive: ((question: LiveQuestion) => Promise<readonly LiveExplanation[]>) | null;
}

/** An operation as both faces offer it: its input and its result are data, so that it can be done elsewhere. */
export interface DescribedOperation<Input extends z.ZodObject, Result> {
  /** One sentence, for the reference. */
  readonly summary: string;
  /** Whether it changes anything, or shows a secret. */
  readonly access: 'read' | 'write';
  /** Whether a store that does not exist is made for it. */
  readonly creates: (input: z.output<Input>) => boolean;
  readonly input: Input;
  readonly result: z.ZodType<Result>;
  /** Of its steps, as `onStep` gets them; null if it has none. */
  readonly step: z.ZodType | null;
  /** Checks the input, before a store is opened for it. @throws HipacheError COMMAND_INVALID. */
  prepare(input: z.output<Input>, means: OperationMeans): Operation<OpenedStore, Result>;
}

type Description<Input extends z.ZodObject, Result> = Pick<
  DescribedOperation<Input, Result>,
  'summary' | 'input' | 'result' | 'prepare'
> &
  Partial<Pick<DescribedOperation<Input, Result>, 'creates' | 'step'>>;

/** An operation that only looks. */
export function reading<Input extends z.ZodObject, Result>(
  description: Description<Input, Result>,
): DescribedOperation<Input, Result> {
  return { access: 'read', creates: () => false, step: null, ...description };
}

/** An operation that changes something. */
export function writing<Input extends z.ZodObject, Result>(
  description: Description<Input, Result>,
): DescribedOperation<Input, Result> {
  return { access: 'write', creates: () => false, step: null, ...description };
}
