import type { AdmissionRule, AskedRequest, Refusal } from './admission.ts';

/** Refuses a request whose body is too large, by the length that it names. One that names none is counted as it comes. */
export class BodyLimit implements AdmissionRule {
  private readonly bytesMax: number;

  constructor(bytesMax: number) {
    this.bytesMax = bytesMax;
  }

  refuse({ bodyBytes, request }: AskedRequest): Refusal | null {
    const bytes = Math.max(request.bodyLength, bodyBytes);
    if (bytes <= this.bytesMax) return null;
    return { code: 'REQUEST_BODY_TOO_LARGE', status: 413, detail: `${bytes} bytes`, fields: null };
  }
}
