import { BlockList, isIP } from 'node:net';
import type { Config } from '../config/config.ts';
import type { ProxySettings } from '../proxy/settings.ts';
import { defaultRetryBudget } from '../routing/retry-budget.ts';

/** What the data plane of a worker is told. */
export function proxySettings({ server, limits }: Config): ProxySettings {
  return {
    headBytesMax: limits.headBytesMax,
    headFieldsMax: limits.headFieldsMax,
    targetBytesMax: limits.targetBytesMax,
    backendConnectionsMax: server.maxSockets,
    backendKeepAlive: server.httpKeepAlive,
    backendIdleMs: limits.backendIdleSeconds * 1000,
    connectTimeoutMs: limits.connectTimeoutSeconds * 1000,
    inactivityMs: server.tcpTimeout * 1000,
    headTimeoutMs: limits.headTimeoutSeconds * 1000,
    keepAliveMs: limits.keepAliveSeconds * 1000,
    queueMax: limits.queueMax,
    queueTimeoutMs: limits.queueTimeoutSeconds * 1000,
    retriesMax: server.retryOnError,
    retryBodyBytesMax: limits.retryBodyBytesMax,
    retryBudget: { ...defaultRetryBudget, ratio: limits.retryBudgetPercent / 100 },
    informationalResponsesMax: limits.informationalResponsesMax,
    connectionsMax: limits.connectionsMax,
    requestsPerHostMax: limits.requestsPerHostMax,
    tunnelsPerHostMax: limits.tunnelsPerHostMax,
    tunnelIdleMs: limits.tunnelIdleSeconds * 1000,
    writeBufferBytesMax: limits.writeBufferBytesMax,
    downMs: server.deadBackendTTL * 1000,
    downOn500: server.deadBackendOn500,
    trustedProxies: trustedProxies(server.trustedProxies),
  };
}

function trustedProxies(networks: readonly string[]): BlockList {
  const list = new BlockList();
  for (const network of networks) {
    const [address, bits] = network.split('/') as [string, string?];
    const family = isIP(address) === 4 ? 'ipv4' : 'ipv6';
    if (bits === undefined) list.addAddress(address, family);
    else list.addSubnet(address, Number(bits), family);
  }
  return list;
}
