/**
 * The options about xDS servers, parsed.  A server is `host:port` (TLS), `https://host:port`, `http://host:port` or
 * `unix:/path` (plaintext).
 */
import { isIP } from 'node:net';
import { resolve } from 'node:path';

export interface RawXdsOptions {
  readonly xds?: string | undefined;
  readonly xdsRoot?: string | undefined;
  readonly xdsToken?: string | undefined;
  readonly xdsServerName?: string | undefined;
  readonly xdsProtocol?: string | undefined;
  readonly xdsPlaintext?: boolean | undefined;
  readonly xdsL7?: string | undefined;
  readonly xdsOnDemand?: boolean | undefined;
  readonly joinToken?: string | undefined;
}

export interface XdsServerAddress {
  /** as given */
  readonly name: string;
  /** gRPC target */
  readonly target: string;
  readonly plaintext: boolean;
}

export interface XdsOptions {
  /** in order of preference */
  readonly servers: readonly XdsServerAddress[];
  /** PEM file; undefined: the system's roots */
  readonly rootFile: string | undefined;
  readonly tokenFile: string | undefined;
  /** with which this machine joins; undefined: it has joined before, or has another credential */
  readonly joinTokenFile: string | undefined;
  readonly serverName: string | undefined;
  readonly protocol: 'auto' | 'delta' | 'sotw';
  /** whether listeners, routes and clusters are asked for; auto: of podwire control */
  readonly l7: 'auto' | 'on' | 'off';
  /** addresses are asked for when pods dial them; false: all of them */
  readonly onDemand: boolean;
}

type Refuse = (option: string, message: string, fix: string) => undefined;

const PROTOCOLS = ['auto', 'delta', 'sotw'] as const;
const SWITCHES = ['auto', 'on', 'off'] as const;
const ADDRESS_FIX =
  'HOST:PORT, [IPv6]:PORT, http://HOST:PORT or unix:/PATH, with commas between them';

/** undefined: no --xds. */
export function parseXdsOptions(raw: RawXdsOptions, refuse: Refuse): XdsOptions | undefined {
  const dependents = {
    '--xds-root': raw.xdsRoot,
    '--xds-token': raw.xdsToken,
    '--xds-server-name': raw.xdsServerName,
    '--xds-plaintext': raw.xdsPlaintext,
    '--xds-on-demand': raw.xdsOnDemand,
    '--join-token': raw.joinToken,
  };
  if (raw.xds === undefined) {
    for (const [option, value] of Object.entries(dependents)) {
      if (value !== undefined) refuse(option, 'is of no use without --xds', 'give --xds too');
    }
    return undefined;
  }
  const servers = parseServers('--xds', raw.xds, refuse);
  for (const { plaintext, target, name } of servers) {
    if (plaintext && !isLocal(target) && raw.xdsPlaintext !== true) {
      refuse(
        '--xds',
        `'${name}' would send policy and token in the clear`,
        'use TLS, or allow it with --xds-plaintext',
      );
    }
  }
  if (raw.joinToken !== undefined) {
    if (servers.some(({ plaintext }) => plaintext)) {
      refuse('--join-token', 'is for servers with TLS', 'name servers as HOST:PORT');
    }
    if (raw.xdsToken !== undefined) {
      refuse('--join-token', 'does not go with --xds-token', 'give one of the two');
    }
  }
  const protocol = PROTOCOLS.find((name) => name === (raw.xdsProtocol ?? 'auto'));
  if (protocol === undefined) {
    refuse('--xds-protocol', `cannot be '${raw.xdsProtocol}'`, `one of ${PROTOCOLS.join(', ')}`);
  }
  const l7 = SWITCHES.find((name) => name === (raw.xdsL7 ?? 'auto'));
  if (l7 === undefined) {
    refuse('--xds-l7', `cannot be '${raw.xdsL7}'`, `one of ${SWITCHES.join(', ')}`);
  }
  const file = (option: string, path: string | undefined): string | undefined => {
    if (path?.trim() === '') refuse(option, 'is empty', 'give a path');
    return path === undefined ? undefined : resolve(path);
  };
  return Object.freeze({
    servers: Object.freeze(servers),
    rootFile: file('--xds-root', raw.xdsRoot),
    tokenFile: file('--xds-token', raw.xdsToken),
    joinTokenFile: file('--join-token', raw.joinToken),
    serverName: raw.xdsServerName,
    protocol: protocol ?? 'auto',
    l7: l7 ?? 'auto',
    onDemand: raw.xdsOnDemand === true,
  });
}

/** Best first; each of them once. */
export function parseServers(option: string, text: string, refuse: Refuse): XdsServerAddress[] {
  const servers = text.split(',').flatMap((one) => {
    const server = parseServer(one.trim());
    if (server === undefined) refuse(option, `cannot be '${one}'`, ADDRESS_FIX);
    return server ?? [];
  });
  if (new Set(servers.map(({ target }) => target)).size < servers.length) {
    refuse(option, 'names a server twice', 'name each once');
  }
  return servers;
}

function parseServer(text: string): XdsServerAddress | undefined {
  if (/^unix:\/[^,\s]+$/.test(text)) return { name: text, target: text, plaintext: true };
  const match = /^(?:(https?):\/\/)?(\[[^\]]+\]|[^:/\s[\]]+):([0-9]{1,5})\/?$/.exec(text);
  const [, scheme, host = '', port] = match ?? [];
  if (match === null || !(Number(port) >= 1 && Number(port) <= 65535)) return undefined;
  if (host.startsWith('[') && isIP(host.slice(1, -1)) !== 6) return undefined;
  return { name: text, target: `${host}:${port}`, plaintext: scheme === 'http' };
}

/** Never leaves the machine. */
function isLocal(target: string): boolean {
  return /^(unix:|localhost:|127\.[0-9.]+:|\[::1\]:)/.test(target);
}
