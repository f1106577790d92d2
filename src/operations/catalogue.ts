import type { z } from 'zod';
import { certificateOperations } from './catalogue/certificates.ts';
import { deployOperations } from './catalogue/deploys.ts';
import type { DescribedOperation, OperationMeans } from './catalogue/described.ts';
import { explainOperations } from './catalogue/explain.ts';
import { optionOperations } from './catalogue/options.ts';
import { ownerOperations } from './catalogue/owners.ts';
import { recordOperations } from './catalogue/records.ts';
import { routeOperations } from './catalogue/routes.ts';
import { statisticsOperations } from './catalogue/statistics.ts';

export type { DescribedOperation, OperationMeans } from './catalogue/described.ts';
export { importedMax } from './catalogue/records.ts';

/** Everything that an operator can do with a store, by name: what the command line and the admin API have in common. */
const operations = {
  ...routeOperations,
  ...optionOperations,
  ...explainOperations,
  ...deployOperations,
  ...certificateOperations,
  ...recordOperations,
  ...ownerOperations,
  ...statisticsOperations,
};

/** Operations that ask a running instance: its store alone is not enough. */
export const instanceOperations: ReadonlySet<string> = new Set(Object.keys(statisticsOperations));

type Operations = typeof operations;
export type OperationName = keyof Operations;
/** The input of an operation, whose defaults may be left out. */
export type InputOf<Name extends OperationName> = z.input<Operations[Name]['input']>;
export type ResultOf<Name extends OperationName> = z.output<Operations[Name]['result']>;

/** Does operations, here or elsewhere. */
export interface Performer {
  /** @param onStep gets the steps of an operation that has any. @throws HipacheError. */
  perform<Name extends OperationName>(
    name: Name,
    input: InputOf<Name>,
    onStep?: OperationMeans['onStep'],
  ): Promise<ResultOf<Name>>;
}

/** An operation by its name, with the types of its input and result left out. */
export function operationOf(name: OperationName): DescribedOperation<z.ZodObject, unknown> {
  return operations[name] as unknown as DescribedOperation<z.ZodObject, unknown>;
}
