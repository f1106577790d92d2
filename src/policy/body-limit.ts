import type { AdmissionRule, AskedRequest, Refusal } from './admission.ts';

/** Refuses a request whose body is too large, by the length that it names. One that names none is counted as it comes. */
export class BodyLimit implements AdmissionRule {
  private readonly bytesMax: number;

  constructor(bytesMax: number) {
    this.bytesMax = bytesMax;
  }

  refuse({ request: { bodyLength } }: AskedRequest): Refusal | null {
    if (bodyLength <= this.bytesMax) return null;
    return { code: 'REQUEST_BODY_TOO_LARGE', status: 413, detail: `${bodyLength} bytes`, fields: null };
  }
}
