import type { ErrorCode } from '../base/errors.ts';
import { Field } from '../http/field-names.ts';
import { hasField } from '../http/message.ts';
import type { Frontend } from '../routing/frontend.ts';
import { nameWithPort, normaliseHost } from '../routing/host.ts';
import type { ProxyContext } from './context.ts';
import type { Exchange } from './exchange.ts';
import type { LocalResponder } from './local-responder.ts';
import type { RouteSource } from './route-source.ts';

/** The route of requests that name no host, such as HTTP/1.0 health checks of a load balancer. */
const anyHost = '*';

/** Finds who responds to a request: a local responder, or a frontend. `replyFor`, `route` or `fail` of the exchange follows. */
export function beginRouting(exchange: Exchange, context: ProxyContext): void {
  const { authority, version } = exchange.request;
  if (authority === null && version === '1.1' && !hasField(exchange.request, Field.HOST))
    exchange.fail('HOST_MISSING', '');
  else askResponders(exchange, context, authority, 0);
}

/** Asks the responders in turn, and finds the route if none responds. @param from index of the first to ask. */
function askResponders(exchange: Exchange, context: ProxyContext, authority: string | null, from: number): void {
  const { responders } = context;
  for (let i = from; i < responders.length; i++) {
    const responder = responders[i] as LocalResponder;
    const reply = responder.respond(exchange.request, exchange.stream.peer.address);
    if (reply === null) continue;
    if (reply instanceof Promise) {
      exchange.wait(reply, (found) => {
        if (found === null) askResponders(exchange, context, authority, i + 1);
        else exchange.replyFor(responder, found);
      });
    } else {
      exchange.replyFor(responder, reply);
    }
    return;
  }
  findFrontend(exchange, context, authority);
}

/** Finds the frontend once more, because the options of the one that was found have changed while the request waited. */
export function routeAgain(exchange: Exchange, context: ProxyContext): void {
  exchange.path = null;
  findFrontend(exchange, context, exchange.request.authority);
}

function findFrontend(exchange: Exchange, { routes, settings }: ProxyContext, authority: string | null): void {
  const host = authority === null ? '' : normaliseHost(authority);
  if (host === null) {
    exchange.fail('REQUEST_INVALID', 'host');
    return;
  }
  exchange.host = host;
  const name = authority === null ? anyHost : settings.routesByPort ? nameWithPort(host, authority) : host;
  const cached = routes.cached(name);
  // Most routes are cached: these need no function of their own.
  if (cached) findPath(exchange, routes, cached);
  else lookUp(exchange, routes, name, cached, (found) => findPath(exchange, routes, found));
}

/** Calls `next` with the frontend of a name, which the store may have. @param cached as `RouteSource.cached` has found it. */
function lookUp(
  exchange: Exchange,
  routes: RouteSource,
  name: string,
  cached: Frontend | null | undefined,
  next: (frontend: Frontend | null) => void,
): void {
  const loading = cached === undefined ? routes.load(name) : cached === null ? routes.confirmAbsent(name) : null;
  if (loading === null) next(cached ?? null);
  else exchange.wait(loading, next);
}

/** The host was found. If its paths have frontends of their own, finds that of the request. */
function findPath(exchange: Exchange, routes: RouteSource, host: Frontend | null): void {
  const paths = host?.policy?.paths ?? null;
  if (host === null || paths === null) {
    exchange.route(host);
    return;
  }
  const found = paths.find(exchange.request.path);
  if (found === null) {
    failAt(host, exchange, 'REQUEST_INVALID', 'path');
    return;
  }
  exchange.path = found.path;
  if (found.prefix === '') {
    exchange.route(host);
    return;
  }
  const name = host.pattern + found.prefix;
  lookUp(exchange, routes, name, routes.cached(name), (frontend) => {
    if (frontend === null) failAt(host, exchange, 'ROUTE_NOT_FOUND', name);
    else exchange.route(frontend);
  });
}

/** The host has no route for the path: it replies with the page of the host. */
function failAt(host: Frontend, exchange: Exchange, code: ErrorCode, detail: string): void {
  exchange.frontend = host;
  exchange.fail(code, detail);
}
