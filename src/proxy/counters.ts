/** The data plane's counters and gauges as plain numbers. */
export class Counters {
  clientConnections = 0;
  clientConnectionsOpen = 0;
  clientConnectionsRefused = 0;
  /** Connections whose client had reset them before they were accepted. */
  clientConnectionsUnknown = 0;
  /** Idle connections closed to make room for others. */
  idleConnectionsClosed = 0;
  /** Connections that the kernel failed to hand over, usually because descriptors ran out. */
  acceptErrors = 0;
  tlsHandshakes = 0;
  /** Of `tlsHandshakes`, those that resumed a session. */
  tlsHandshakesResumed = 0;
  tlsHandshakesFailed = 0;
  requestsInFlight = 0;
  requests = 0;
  /** Requests that wait for a backend or for a place among those of their host. */
  requestsWaiting = 0;
  backendConnections = 0;
  backendConnectionsOpen = 0;
  /** Connections of requests that the proxy sends on its own behalf, such as those to auth servers. */
  webConnectionsOpen = 0;
  /** Idle connections on which the backend sent something unsolicited. */
  backendConnectionsUnsolicited = 0;
  retries = 0;
  tunnels = 0;
  tunnelsOpen = 0;
  /** Tunnels that were ended because the proxy or their backend drained. */
  tunnelsDrained = 0;
  /** Requests that were ended because their backend drained. */
  requestsDrained = 0;
  /** Bytes through tunnels; added when the tunnel ends. */
  tunnelBytesFromClients = 0;
  tunnelBytesFromBackends = 0;
  /** Exceptions and failed assertions in this program; each ended what it concerned. */
  internalErrors = 0;
}
