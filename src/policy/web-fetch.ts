/** A GET that the proxy sends on its own behalf. */
export interface WebRequest {
  /** An absolute http or https URL without credentials. */
  readonly url: string;
  /** Names and values in turn, latin1. `Host` comes from the URL, and must not be among them. */
  readonly fields: readonly string[];
  /** From the begin of the request to the end of its response, in ms. */
  readonly timeoutMs: number;
  /** Largest body of the response, in bytes. */
  readonly bodyBytesMax: number;
  /** Whether no other request may use the connection, before or after it. Default false. */
  readonly isAlone?: boolean;
  /** Ends the request. */
  readonly signal?: AbortSignal;
}

/** A whole response. */
export interface WebResponse {
  /** 200 to 999. */
  readonly status: number;
  /** Names and values in turn, as they were sent, latin1. */
  readonly fields: readonly string[];
  /** Its bytes as latin1 text. */
  readonly body: string;
}

/** Sends a GET. It rejects if no whole response comes in time; the code of a `HipacheError` may be OVERLOADED. */
export type WebFetch = (request: WebRequest) => Promise<WebResponse>;
