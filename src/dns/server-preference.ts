/**
 * The order in which name servers are asked: that of the configuration, but first the one that helped when those before
 * it did not. A name that no server answers changes nothing.
 */
export class ServerPreference {
  private preferred: string | null = null;

  order(servers: readonly string[]): readonly string[] {
    const at = this.preferred === null ? -1 : servers.indexOf(this.preferred);
    return at <= 0 ? servers : [...servers.slice(at), ...servers.slice(0, at)];
  }

  /** Another server had failed, then `server` replied. */
  helped(server: string): void {
    this.preferred = server;
  }
}
