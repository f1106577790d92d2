import { Networks } from '../base/networks.ts';
import type { Config } from '../config/config.ts';
import type { HostPolicy } from '../policy/host-policy.ts';
import type { ProxySettings } from '../proxy/settings.ts';
import { defaultRetryBudget } from '../routing/retry-budget.ts';
import { TwoRandomChoices } from '../routing/selector.ts';

/** The settings of a worker's data plane. @param descriptorsMax for connections of clients and backends together. */
export function proxySettings({ server, limits, compat }: Config, descriptorsMax: number): ProxySettings {
  return {
    headBytesMax: limits.headBytesMax,
    headFieldsMax: limits.headFieldsMax,
    targetBytesMax: limits.targetBytesMax,
    responseLimits: {
      headBytesMax: limits.responseHeadBytesMax,
      headFieldsMax: limits.responseHeadFieldsMax,
      targetBytesMax: 0,
    },
    backendConnectionsMax: server.maxSockets,
    backendKeepAlive: server.httpKeepAlive,
    backendIdleMs: limits.backendIdleSeconds * 1000,
    backendAgeMs: limits.backendAgeSeconds * 1000,
    inactivityMs: server.tcpTimeout * 1000,
    bodyRateMin: limits.bodyBytesPerSecondMin,
    bodyGraceMs: limits.bodyGraceSeconds * 1000,
    headTimeoutMs: limits.headTimeoutSeconds * 1000,
    keepAliveMs: limits.keepAliveSeconds * 1000,
    queueMax: limits.queueMax,
    queueTimeoutMs: limits.queueTimeoutSeconds * 1000,
    informationalResponsesMax: limits.informationalResponsesMax,
    connectionsMax: limits.connectionsMax === 'auto' ? Number.POSITIVE_INFINITY : limits.connectionsMax,
    descriptorsMax,
    writeBufferBytesMax: limits.writeBufferBytesMax,
    http2StreamsMax: limits.http2StreamsMax,
    http2BackendStreamsMax: limits.http2BackendStreamsMax,
    http2StreamWindowBytes: limits.http2WindowBytes,
    http2ConnectionWindowBytes: limits.http2ConnectionWindowBytes,
    http2Budget: { tokensMax: limits.http2BudgetTokens, tokensPerSecond: limits.http2BudgetPerSecond },
    identity: {
      mapped: server.mappedAddresses,
      protocol: server.xForwardedProtocol,
      forwarded: server.forwarded,
      loop: limits.passesMax > 0,
      via: server.via,
    },
    routesByPort: compat.hostPort,
    trustedProxies: Networks.read(server.trustedProxies),
  };
}

/** The policy of hosts without options of their own. */
export function hostPolicy({ acme, server, limits }: Config): HostPolicy {
  return {
    rules: null,
    paths: null,
    strippedPath: '',
    requestFields: null,
    backendHost: null,
    responseEdits: null,
    timeouts: {
      connectMs: limits.connectTimeoutSeconds * 1000,
      responseMs: server.tcpTimeout * 1000,
      responseIdleMs: limits.responseIdleSeconds * 1000,
    },
    tunnelIdleMs: limits.tunnelIdleSeconds * 1000,
    errorPage: null,
    upgrades: new Set(server.upgrades.map((name) => name.toLowerCase())),
    selector: new TwoRandomChoices(Math.random),
    sticky: null,
    hold: null,
    isPaused: false,
    queue: null,
    wake: null,
    idleAfterMs: 0,
    requestsMax: limits.requestsPerHostMax,
    requestBodyBytesMax: Number.POSITIVE_INFINITY,
    tunnelsMax: limits.tunnelsPerHostMax,
    retriesMax: server.retryOnError,
    retryForMs: limits.retrySeconds * 1000,
    retryTimeouts: server.retryOnTimeout,
    retryBudget: { ...defaultRetryBudget, ratio: limits.retryBudgetPercent / 100 },
    retryBodyBytesMax: limits.retryBodyBytesMax,
    downMs: server.deadBackendTTL * 1000,
    marking: {
      byFirst: server.deadBackendRule === 'first',
      on500: server.deadBackendOn500,
      failuresMin: server.deadBackendFailuresMin,
      share: server.deadBackendFailurePercent / 100,
    },
    ordersCertificate: acme.hosts === 'all',
    clientAuthorities: null,
    accessLogShare: server.accessLogSample,
    health: null,
  };
}

/** Descriptors that a worker keeps for itself: its store, logs, certificates and lookups of names. */
function reservedDescriptors(limit: number): number {
  return Math.min(256, Math.max(16, Math.ceil(limit / 20)));
}

/** How many connections of clients and backends the limit of this process allows, beside what is open already. */
export function connectionDescriptors(limit: number, open: number): number {
  return Math.max(1, limit - open - reservedDescriptors(limit));
}
