import { constants } from 'node:crypto';
import { createSecureContext } from 'node:tls';

/** TLS options of one address, in the terms of Hipache 0.4's file; null for those not given. */
export interface TlsBindConfig {
  /** Paths of PEM files; null: certificates are chosen by SNI only. */
  readonly key: string | null;
  readonly cert: string | null;
  readonly ca: readonly string[];
  readonly passphrase: string | null;
  readonly ciphers: string | null;
  readonly honorCipherOrder: boolean | null;
  readonly secureProtocol: string | null;
  readonly secureOptions: number | string | null;
}

/** Settings for OpenSSL: plain data, because they are sent between processes. */
export interface TlsSettings {
  readonly ciphers?: string;
  readonly honorCipherOrder?: boolean;
  readonly minVersion?: 'TLSv1.2' | 'TLSv1.3';
  readonly maxVersion?: 'TLSv1.2' | 'TLSv1.3';
  readonly secureOptions?: number;
}

/** Options of old files that still have an effect. The others are in effect anyway or have lost their meaning. */
const options: Readonly<Record<string, number>> = {
  SSL_OP_NO_TLSv1_2: constants.SSL_OP_NO_TLSv1_2,
  SSL_OP_NO_TLSv1_3: constants.SSL_OP_NO_TLSv1_3,
  SSL_OP_NO_TICKET: constants.SSL_OP_NO_TICKET,
  SSL_OP_NO_RENEGOTIATION: constants.SSL_OP_NO_RENEGOTIATION,
  SSL_OP_CIPHER_SERVER_PREFERENCE: constants.SSL_OP_CIPHER_SERVER_PREFERENCE,
};

/** In effect whether old files ask for them or not, so there is nothing to warn about. */
const always: Readonly<Record<string, number>> = {
  SSL_OP_ALL: constants.SSL_OP_ALL,
  SSL_OP_NO_SSLv2: 0x0100_0000,
  SSL_OP_NO_SSLv3: constants.SSL_OP_NO_SSLv3,
  SSL_OP_NO_TLSv1: constants.SSL_OP_NO_TLSv1,
  SSL_OP_NO_TLSv1_1: constants.SSL_OP_NO_TLSv1_1,
  SSL_OP_NO_COMPRESSION: constants.SSL_OP_NO_COMPRESSION,
  SSL_OP_SINGLE_DH_USE: 0x0010_0000,
  SSL_OP_SINGLE_ECDH_USE: 0x0008_0000,
};

/**
 * Maps the options of Hipache 0.4 to what OpenSSL supports today: TLS 1.2 and 1.3. A value that it rejects gives a
 * warning and today's default, so that an old file still works.
 * @param where the key for warnings: `https` or `https.bind[0]`.
 */
export function tlsSettings(bind: TlsBindConfig, where: string, warnings: string[]): TlsSettings {
  return {
    ...ciphersOf(bind.ciphers, where, warnings),
    ...(bind.honorCipherOrder === null ? {} : { honorCipherOrder: bind.honorCipherOrder }),
    ...versionsOf(bind.secureProtocol, where, warnings),
    ...optionsOf(bind.secureOptions, where, warnings),
  };
}

function ciphersOf(ciphers: string | null, where: string, warnings: string[]): TlsSettings {
  if (ciphers === null) return {};
  try {
    createSecureContext({ ciphers, ca: [] });
    return { ciphers };
  } catch {
    warnings.push(`${where}.ciphers: today's OpenSSL has no cipher of the list; using the default list`);
    return {};
  }
}

function versionsOf(name: string | null, where: string, warnings: string[]): TlsSettings {
  switch (name) {
    case null:
    case 'TLS_method':
    case 'TLS_server_method':
    case 'SSLv23_method':
    case 'SSLv23_server_method':
      return {};
    case 'TLSv1_2_method':
    case 'TLSv1_2_server_method':
      return { minVersion: 'TLSv1.2', maxVersion: 'TLSv1.2' };
    case 'TLSv1_3_method':
    case 'TLSv1_3_server_method':
      return { minVersion: 'TLSv1.3', maxVersion: 'TLSv1.3' };
    default:
      warnings.push(`${where}.secureProtocol: ${JSON.stringify(name)} is no longer supported; TLS 1.2 and 1.3 are`);
      return {};
  }
}

function optionsOf(value: number | string | null, where: string, warnings: string[]): TlsSettings {
  if (value === null) return {};
  const unknown: string[] = [];
  let wanted = 0;
  if (typeof value === 'number' || /^[0-9]+$/.test(value)) {
    let left = Number(value) >>> 0;
    for (const bit of Object.values(always)) left = (left & ~bit) >>> 0;
    for (const bit of Object.values(options)) {
      if ((left & bit) !== 0) wanted |= bit;
      left = (left & ~bit) >>> 0;
    }
    if (left !== 0) unknown.push(`0x${left.toString(16)}`);
  } else {
    for (const name of value.split(/[|,\s]+/).filter((part) => part !== '')) {
      const bit = options[name];
      if (bit !== undefined) wanted |= bit;
      else if (!Object.hasOwn(always, name)) unknown.push(name);
    }
  }
  if (unknown.length > 0) {
    warnings.push(`${where}.secureOptions: ${unknown.join(', ')} unknown to today's OpenSSL, ignored`);
  }
  return wanted === 0 ? {} : { secureOptions: wanted };
}
