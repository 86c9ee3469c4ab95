/**
 * Where the node's workload certificates come from, and which are revoked; parsed.
 *
 *   --spire SOCKET                     SPIRE's agent
 *   --ca-cert, --ca-key, --ca-root     a CA in this process
 *   --ca-address HOST:PORT[,…]         a CA over the network
 *   none of them                       the xDS servers with TLS; without --xds a CA in this process with a root of its own
 */
import { resolve } from 'node:path';
import { parseServers, type XdsOptions, type XdsServerAddress } from './xds-options.ts';

export interface RawCertificateOptions {
  readonly spire?: string | undefined;
  readonly caAddress?: string | undefined;
  readonly caTlsRoot?: string | undefined;
  readonly caToken?: string | undefined;
  readonly caServerName?: string | undefined;
  readonly caCert?: string | undefined;
  readonly caKey?: string | undefined;
  readonly caRoot?: string | undefined;
  readonly caChain?: string | undefined;
  readonly certificateLife?: string | undefined;
  readonly crlFile?: string | undefined;
}

export type CertificateSourceOptions =
  /** there are none; `reason` is for the operator */
  | { readonly kind: 'none'; readonly reason: string }
  | { readonly kind: 'spire'; readonly socket: string }
  | {
      readonly kind: 'embedded';
      /** undefined: a root of its own */
      readonly files:
        | {
            readonly certificate: string;
            readonly key: string;
            readonly chain: string | undefined;
            readonly roots: string;
          }
        | undefined;
    }
  | {
      readonly kind: 'ca';
      /** with TLS */
      readonly servers: readonly XdsServerAddress[];
      /** PEM file; undefined: the system's roots */
      readonly rootFile: string | undefined;
      /** undefined: this machine proves itself with the certificate it joined with */
      readonly tokenFile: string | undefined;
      readonly serverName: string | undefined;
    };

export interface CertificateOptions {
  readonly source: CertificateSourceOptions;
  /** of the certificates asked for */
  readonly lifeSeconds: number;
  /** PEM; undefined: nothing is revoked */
  readonly crlFile: string | undefined;
}

type Refuse = (option: string, message: string, fix: string) => undefined;

/** Istio's SECRET_TTL */
export const DEFAULT_CERTIFICATE_LIFE_S = 86_400;
const MIN_LIFE_S = 60;
const MAX_LIFE_S = 30 * 86_400;

export function parseCertificateOptions(
  raw: RawCertificateOptions,
  xds: XdsOptions | undefined,
  refuse: Refuse,
): CertificateOptions {
  const life = /^[0-9]{1,7}$/.test(raw.certificateLife ?? '')
    ? Number(raw.certificateLife)
    : raw.certificateLife === undefined
      ? DEFAULT_CERTIFICATE_LIFE_S
      : NaN;
  if (!(life >= MIN_LIFE_S && life <= MAX_LIFE_S)) {
    const fix = `seconds, ${MIN_LIFE_S} to ${MAX_LIFE_S}`;
    refuse('--certificate-life', `cannot be '${raw.certificateLife}'`, fix);
  }
  return Object.freeze({
    source: Object.freeze(parseSource(raw, xds, refuse)),
    lifeSeconds: life,
    crlFile: file('--crl-file', raw.crlFile, refuse),
  });
}

function parseSource(
  raw: RawCertificateOptions,
  xds: XdsOptions | undefined,
  refuse: Refuse,
): CertificateSourceOptions {
  const given = [raw.caCert, raw.caKey, raw.caRoot].filter((one) => one !== undefined).length;
  if (given !== 0 && given !== 3) {
    refuse('--ca-cert', 'is not complete', 'give --ca-cert, --ca-key and --ca-root together');
  }
  if (raw.caChain !== undefined && given === 0) {
    refuse('--ca-chain', 'is of no use without --ca-cert', 'give --ca-cert too');
  }
  const named = [given > 0, raw.spire !== undefined, raw.caAddress !== undefined];
  if (named.filter(Boolean).length > 1) {
    const fix = 'name one of --ca-cert, --ca-address and --spire';
    refuse('--ca-address', 'is not the only source of certificates', fix);
  }
  for (const [option, value] of [
    ['--ca-tls-root', raw.caTlsRoot],
    ['--ca-token', raw.caToken],
    ['--ca-server-name', raw.caServerName],
  ] as const) {
    if (value !== undefined && raw.caAddress === undefined) {
      refuse(option, 'is of no use without --ca-address', 'give --ca-address too');
    }
  }
  if (raw.spire !== undefined) {
    return { kind: 'spire', socket: file('--spire', raw.spire, refuse) ?? '' };
  }
  if (given > 0) {
    return {
      kind: 'embedded',
      files: Object.freeze({
        certificate: file('--ca-cert', raw.caCert, refuse) ?? '',
        key: file('--ca-key', raw.caKey, refuse) ?? '',
        chain: file('--ca-chain', raw.caChain, refuse),
        roots: file('--ca-root', raw.caRoot, refuse) ?? '',
      }),
    };
  }
  if (raw.caAddress !== undefined) return parseCa(raw, raw.caAddress, xds, refuse);
  if (xds === undefined) return { kind: 'embedded', files: undefined };
  const servers = xds.servers.filter(({ plaintext }) => !plaintext);
  if (servers.length === 0) {
    const reason = 'no xDS server has TLS: name a CA with --ca-address, --ca-cert or --spire';
    return { kind: 'none', reason };
  }
  const { rootFile, tokenFile, serverName } = xds;
  return { kind: 'ca', servers, rootFile, tokenFile, serverName };
}

/** What is not said about it is as for the xDS servers. */
function parseCa(
  raw: RawCertificateOptions,
  address: string,
  xds: XdsOptions | undefined,
  refuse: Refuse,
): CertificateSourceOptions {
  const servers = parseServers('--ca-address', address, refuse);
  if (servers.some(({ plaintext }) => plaintext)) {
    refuse('--ca-address', 'names a server without TLS', 'name servers as HOST:PORT');
  }
  const tokenFile = file('--ca-token', raw.caToken, refuse) ?? xds?.tokenFile;
  if (tokenFile === undefined && xds === undefined) {
    refuse('--ca-address', 'needs a token', 'give it with --ca-token FILE');
  }
  return {
    kind: 'ca',
    servers: Object.freeze(servers),
    rootFile: file('--ca-tls-root', raw.caTlsRoot, refuse) ?? xds?.rootFile,
    tokenFile,
    serverName: raw.caServerName ?? xds?.serverName,
  };
}

function file(option: string, path: string | undefined, refuse: Refuse): string | undefined {
  if (path?.trim() === '') refuse(option, 'is empty', 'give a path');
  return path === undefined ? undefined : resolve(path);
}
