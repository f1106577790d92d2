import { z } from 'zod';
import { acmeSection } from './acme.ts';
import { adminSection } from './admin.ts';
import { compatSection } from './compat.ts';
import { dnsSection } from './dns.ts';
import { backendTlsSection, httpsSection } from './https.ts';
import { key, keyReferences, text } from './keys.ts';
import { limitsSection } from './limits.ts';
import { httpSection } from './listen.ts';
import { metricsSection } from './metrics.ts';
import { serverSection } from './server.ts';

export const driverAllowed = 'a URL such as "sqlite:/var/lib/hipache/routes.sqlite"';

/** Whether `text` can name a store. Which ones exist is up to the stores. */
export function isDriverUrl(text: string): boolean {
  return /^[a-z][a-z0-9+.-]*:/i.test(text);
}

const driverUrl = key(z.string().refine(isDriverUrl), {
  source: '0.4',
  description: 'One URL.',
  allowed: driverAllowed,
});

/** The whole configuration file. config.ts sets the defaults that depend on more than one key. */
export const fileSchema = z.object({
  server: section(serverSection),
  http: section(httpSection),
  https: section(httpsSection),
  acme: section(acmeSection),
  backendTls: section(backendTlsSection),
  driver: key(z.union([driverUrl, z.array(driverUrl).min(1).max(64)]).optional(), {
    source: '0.4',
    description:
      'The [store](store.md) of the routes: `sqlite:PATH`, the embedded one, `file:PATH`, `redis:`, `redis+sentinel:`, `redis+cluster:`, `etcd:`, `zookeeper:` or `memcached:`.',
    allowed: `${driverAllowed}, or an array of URLs`,
    default: 'the embedded store (the original: `redis:`)',
  }),
  user: text({
    source: '0.4',
    description:
      'The user to run as: when started as root, Hipache changes to it once every port is bound. "root" stays root.',
    allowed: 'the name of a user, or its number as a string',
    default: '"www-data"',
  }).default('www-data'),
  group: key(z.string().min(1).nullable().default(null), {
    source: '0.4',
    description: 'The group to run as; null: that of the user.',
    allowed: 'the name of a group, or null',
    default: "the user's",
  }),
  dns: section(dnsSection),
  limits: section(limitsSection),
  metrics: section(metricsSection),
  admin: section(adminSection),
  compat: section(compatSection),
});

/** A checked file: its values, with the defaults of single keys. */
export type FileConfig = z.output<typeof fileSchema>;

/** Every key, in the order of the reference page. */
export const configurationKeys = keyReferences(fileSchema);

/** A section that is missing, or empty in YAML, has no keys set. */
function section<Section extends z.ZodObject>(schema: Section) {
  return key(
    z.prefault(schema, () => ({}) as z.input<Section>),
    {
      source: '0.4',
      description: '',
      allowed: 'an object of keys',
    },
  );
}
