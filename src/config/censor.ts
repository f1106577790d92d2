import { shownUrl } from '../base/shown-url.ts';
import type { Config } from './config.ts';
import { configurationKeys } from './schema.ts';

const censored = '********';

const secretNames = new Set(
  configurationKeys.filter((key) => key.secret).map((key) => key.path.slice(key.path.lastIndexOf('.') + 1)),
);

/**
 * A configuration as indented JSON in the form of a file, which may be shown: keys, certificates, passphrases and
 * passwords are masked.
 */
export function censoredJson(config: Config): string {
  const { storeTtlSeconds: _, ...keys } = config;
  return JSON.stringify({ ...keys, driver: config.driver.map(shownUrl) }, hideSecret, 2);
}

function hideSecret(name: string, value: unknown): unknown {
  return secretNames.has(name) && value !== undefined && value !== null ? censored : value;
}
