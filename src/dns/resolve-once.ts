import type { NameResolver, NameWatch } from './name-resolver.ts';

/** The addresses of a name now. @throws Error with the code and message of a `NameFailure`. */
export function resolveOnce(resolver: Pick<NameResolver, 'watch'>, name: string): Promise<readonly string[]> {
  return new Promise((resolve, reject) => {
    let watch: NameWatch | null = null;
    let isDone = false;
    const done = (settle: () => void): void => {
      isDone = true;
      watch?.close();
      settle();
    };
    watch = resolver.watch(name, {
      onAddresses: (addresses) => done(() => resolve(addresses)),
      onFailed: ({ code, message }) => done(() => reject(Object.assign(new Error(message), { code }))),
    });
    // The watcher was called before there was a watch to close.
    if (isDone) watch.close();
  });
}
