import { hostPort } from '../base/host-port.ts';
import { listenFailure } from '../base/listen-failure.ts';
import type { Log } from '../base/log.ts';
import type { Config } from '../config/config.ts';
import type { GivenSockets, HandedAddress } from '../processes/given-sockets.ts';
import { ListenSockets, type Rivalry } from '../processes/listen-sockets.ts';
import { MetricsServer, type MetricsSource } from '../telemetry/metrics-server.ts';

/** The address of the metrics: like those of the traffic, it can be taken over. */
export class MetricsEndpoint {
  private readonly server: MetricsServer;
  private readonly log: Log;
  private bound: { readonly key: string; readonly sockets: ListenSockets } | null = null;

  constructor(source: MetricsSource, log: Log) {
    this.server = new MetricsServer(source);
    this.log = log;
  }

  /** Does nothing without a port. @throws HipacheError LISTEN_FAILED. */
  async listen({ bind, port }: Config['metrics'], given: GivenSockets, rivalry: Rivalry): Promise<void> {
    if (port === null) return;
    const key = `metrics ${bind} ${port}`;
    const sockets = (await given.take(key, bind, port)) ?? (await ListenSockets.bind(bind, port, 1, rivalry));
    try {
      await this.server.listen(sockets.handle);
      sockets.listening();
    } catch (error) {
      sockets.close();
      throw listenFailure(bind, port, (error as NodeJS.ErrnoException).code ?? String(error));
    }
    this.bound = { key, sockets };
    this.log.info(`metrics on http://${hostPort(bind, sockets.port)}/metrics`);
  }

  /** For a successor to inherit. */
  get handed(): readonly HandedAddress[] {
    if (this.bound === null) return [];
    const { key, sockets } = this.bound;
    return [{ key, port: sockets.port, descriptors: sockets.descriptors }];
  }

  close(): void {
    if (this.bound !== null) this.server.close();
    this.bound = null;
  }
}
