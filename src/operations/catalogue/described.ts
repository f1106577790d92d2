import type { z } from 'zod';
import type { Config } from '../../config/config.ts';
import type { LiveExplanation, LiveQuestion } from '../../routing/live-explanation.ts';
import type { StatisticsQuestion, WorkerStatistics } from '../../telemetry/host-statistics.ts';
import type { LoadSummary } from '../../telemetry/load-summary.ts';
import type { TailQuestion, WorkerTail } from '../../telemetry/request-tail.ts';
import type { Operation } from '../operation.ts';
import type { RouteSearch } from '../route-search.ts';
import type { OpenedStore } from '../store-access.ts';

/** Questions to a running instance: to its workers, each of which answers, or to its primary. @throws HipacheError INSTANCE_UNREACHABLE. */
interface InstanceQuestions {
  explain(question: LiveQuestion): Promise<readonly LiveExplanation[]>;
  statistics(question: StatisticsQuestion): Promise<readonly WorkerStatistics[]>;
  tail(question: TailQuestion): Promise<readonly WorkerTail[]>;
  /** The windows of the last hour that end after `afterMs`, in epoch ms. */
  load(afterMs: number): Promise<readonly LoadSummary[]>;
}

/** Everything that an operation works with, besides its input and the store. */
export interface OperationMeans {
  /** Null for the defaults. */
  readonly config: Pick<Config, 'acme' | 'backendTls' | 'compat' | 'dns'> | null;
  /** Epoch milliseconds. */
  readonly now: () => number;
  /** Called with the steps of an operation that takes its time. */
  readonly onStep: (step: unknown) => void;
  /** The workers of a running instance. */
  readonly instance: InstanceQuestions;
  /** Knows the patterns of routes without the store; undefined for none. */
  readonly routeIndex?: RouteSearch;
}

/** An operation as both faces offer it: its input and its result are data, so that it can be done elsewhere. */
export interface DescribedOperation<Input extends z.ZodObject, Result> {
  /** One sentence, for the reference. */
  readonly summary: string;
  /** Whether it changes anything, or shows a secret. */
  readonly access: 'read' | 'write';
  /** Whether a store that does not exist is made for it. */
  readonly creates: (input: z.output<Input>) => boolean;
  /** Whether it works on the store. */
  readonly usesStore: boolean;
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
  Partial<Pick<DescribedOperation<Input, Result>, 'creates' | 'step' | 'usesStore'>>;

const usual = { creates: () => false, step: null, usesStore: true } as const;

/** An operation that only looks. */
export function reading<Input extends z.ZodObject, Result>(
  description: Description<Input, Result>,
): DescribedOperation<Input, Result> {
  return { access: 'read', ...usual, ...description };
}

/** An operation that changes something. */
export function writing<Input extends z.ZodObject, Result>(
  description: Description<Input, Result>,
): DescribedOperation<Input, Result> {
  return { access: 'write', ...usual, ...description };
}
