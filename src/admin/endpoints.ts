import type { OperationName } from '../operations/catalogue.ts';

/** Where the API offers an operation. */
export interface Endpoint {
  readonly method: 'GET' | 'PUT' | 'POST' | 'PATCH' | 'DELETE';
  /** A field of the input in braces is a segment of the path. The others are in the query of GET and DELETE, else in the body. */
  readonly path: string;
}

/** Every operation. */
export const endpoints: Readonly<Record<OperationName, Endpoint>> = {
  listRoutes: { method: 'GET', path: '/v1/routes' },
  showRoute: { method: 'GET', path: '/v1/routes/{host}' },
  setRoute: { method: 'PUT', path: '/v1/routes/{host}' },
  removeBackends: { method: 'DELETE', path: '/v1/routes/{host}' },
  addBackends: { method: 'POST', path: '/v1/routes/{host}/backends' },
  drainBackends: { method: 'POST', path: '/v1/routes/{host}/drain' },
  deploy: { method: 'POST', path: '/v1/routes/{host}/deploy' },
  promoteCanary: { method: 'POST', path: '/v1/routes/{host}/promote' },
  abortCanary: { method: 'POST', path: '/v1/routes/{host}/abort' },
  rollBack: { method: 'POST', path: '/v1/routes/{host}/rollback' },
  applyChanges: { method: 'POST', path: '/v1/changes' },
  acceptRoutes: { method: 'POST', path: '/v1/acceptance' },
  listOptions: { method: 'GET', path: '/v1/options' },
  showOptions: { method: 'GET', path: '/v1/options/{host}' },
  setOptions: { method: 'PATCH', path: '/v1/options/{host}' },
  unsetOptions: { method: 'DELETE', path: '/v1/options/{host}' },
  optionNames: { method: 'GET', path: '/v1/option-names' },
  showLoad: { method: 'GET', path: '/v1/load' },
  listTraffic: { method: 'GET', path: '/v1/traffic' },
  showTraffic: { method: 'GET', path: '/v1/traffic/{host}' },
  tailRequests: { method: 'GET', path: '/v1/requests' },
  explain: { method: 'GET', path: '/v1/explain' },
  listOwners: { method: 'GET', path: '/v1/owners' },
  listOwnedHosts: { method: 'GET', path: '/v1/owners/{owner}/{source}' },
  setOwnedRoutes: { method: 'PUT', path: '/v1/owners/{owner}/{source}' },
  forgetSource: { method: 'DELETE', path: '/v1/owners/{owner}/{source}' },
  showOwner: { method: 'GET', path: '/v1/routes/{host}/owner' },
  listFleet: { method: 'GET', path: '/v1/fleet' },
  waitUntilLive: { method: 'GET', path: '/v1/live' },
  listCertificates: { method: 'GET', path: '/v1/certificates' },
  showCertificate: { method: 'GET', path: '/v1/certificates/{host}' },
  setCertificate: { method: 'PUT', path: '/v1/certificates/{host}' },
  removeCertificate: { method: 'DELETE', path: '/v1/certificates/{host}' },
  certificateStanding: { method: 'GET', path: '/v1/certificates/{host}/standing' },
  orderCertificate: { method: 'POST', path: '/v1/certificates/{host}/order' },
  revokeCertificate: { method: 'POST', path: '/v1/certificates/{host}/revoke' },
  waitingOrders: { method: 'GET', path: '/v1/certificate-orders' },
  exportRecords: { method: 'GET', path: '/v1/records' },
  importRecords: { method: 'POST', path: '/v1/records' },
};

/** The stream of events. */
export const eventsPath = '/v1/events';

/** The field of inputs that is in `If-Match`, or as `none` in `If-None-Match: *`. */
export const versionField = 'ifVersion';

/** Whether the fields that are not in the path are in the query. */
export function isInQuery({ method }: Endpoint): boolean {
  return method === 'GET' || method === 'DELETE';
}

/** The names of the fields in a path. */
export function pathFields({ path }: Endpoint): string[] {
  return [...path.matchAll(/\{(\w+)\}/g)].map(([, name = '']) => name);
}

export function endpointNames(): OperationName[] {
  return Object.keys(endpoints) as OperationName[];
}
