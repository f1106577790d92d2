/** The counters of the data plane, as plain numbers; gauges go down again. */
export class Counters {
  clientConnections = 0;
  clientConnectionsOpen = 0;
  clientConnectionsRefused = 0;
  /** Connections that the system did not hand over, usually because descriptors ran out. */
  acceptErrors = 0;
  tlsHandshakes = 0;
  /** Of `tlsHandshakes`, those that resumed a session. */
  tlsHandshakesResumed = 0;
  tlsHandshakesFailed = 0;
  requestsInFlight = 0;
  requests = 0;
  backendConnections = 0;
  backendConnectionsOpen = 0;
  /** Idle connections to backends that sent something unasked. */
  backendConnectionsUnsolicited = 0;
  retries = 0;
  tunnels = 0;
  tunnelsOpen = 0;
  /** Bytes through tunnels that have ended. */
  tunnelBytesFromClients = 0;
  tunnelBytesFromBackends = 0;
  /** Exceptions and failed assertions of ours; each ended one connection. */
  internalErrors = 0;
}
