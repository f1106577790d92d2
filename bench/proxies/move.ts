/** How a running proxy is made to send one host to the first or the second of the telling backends. */
export type Move =
  /** A program writes the route into the store that the proxy follows. */
  | { readonly way: 'store'; readonly url: string; readonly backends: readonly [string, string] }
  /** A file of the configuration is replaced, and SIGHUP says so. */
  | { readonly way: 'reload'; readonly file: string; readonly texts: readonly [string, string] }
  /** A command on a Unix socket, which has no answer but an empty line. */
  | { readonly way: 'command'; readonly socket: string; readonly commands: readonly [string, string] }
  /** A PATCH of this path, with a body of JSON. */
  | { readonly way: 'patch'; readonly port: number; readonly path: string; readonly bodies: readonly [string, string] };
