import { type ErrorCode, errorKind } from '../base/errors.ts';
import type { DataPlaneParts } from './context.ts';

/** Tells the operator that requests have ended at a limit, and which key raises it. */
export function warnOfLimit(
  code: ErrorCode,
  host: string,
  detail: string,
  { onWarning }: Pick<DataPlaneParts, 'onWarning'>,
): void {
  const { limit } = errorKind(code);
  if (limit !== null) onWarning(`requests end at a limit, code ${code}; ${limit}`, { host, detail });
}
