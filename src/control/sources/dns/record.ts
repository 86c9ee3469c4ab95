/**
 * `--dns` → which SRV record gives the endpoints of which Service.
 *
 *   _http._tcp.shop.example=shop/web               endpoints of a Service without selector that a folder or cluster has
 *   _http._tcp.shop.example=shop/web:http          … of its port called http
 *   _http._tcp.shop.example=shop/web:80            Service and endpoints
 *   _http._tcp.shop.example=shop/web:80@10.9.0.1   … with a virtual address (several: joined by "+")
 */
import { PodwireError } from '../../../errors.ts';
import { parseIp, type Ip } from '../../../model/ip.ts';

export interface DnsRecord {
  /** e.g. "_http._tcp.shop.example", without a dot at the end */
  readonly name: string;
  readonly namespace: string;
  readonly service: string;
  /** of the Service's port */
  readonly portName: string;
  /** undefined: the Service comes from elsewhere */
  readonly defines: { readonly port: number; readonly addresses: readonly Ip[] } | undefined;
}

const RECORD = /^_[a-z0-9-]{1,62}\._tcp(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)+$/i;
const NAME = '[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?';
const TARGET = new RegExp(
  `^(${NAME})/(${NAME})(?::(?:([0-9]{1,5})(?:@([0-9a-fA-F.:+]+))?|(${NAME})))?$`,
);

/** Throws PodwireError ERR_BAD_OPTION. */
export function parseDnsRecords(texts: readonly string[]): DnsRecord[] {
  const records = texts.map(parseDnsRecord);
  const services = new Set<string>();
  for (const { namespace, service } of records) {
    const key = `${namespace}/${service}`;
    if (services.has(key)) throw bad(key, 'two records give endpoints of this Service');
    services.add(key);
  }
  return records;
}

function parseDnsRecord(text: string): DnsRecord {
  const equals = text.indexOf('=');
  const name = text.slice(0, Math.max(0, equals)).replace(/\.$/, '').toLowerCase();
  const match = TARGET.exec(text.slice(equals + 1));
  if (equals < 0 || !RECORD.test(name) || name.length > 253 || match === null) {
    throw bad(text, 'cannot be read');
  }
  const [, namespace = '', service = '', number, vips, portName = ''] = match;
  if (number === undefined) return { name, namespace, service, portName, defines: undefined };
  const port = Number(number);
  const addresses = (vips?.split('+') ?? []).map((vip) => {
    const address = parseIp(vip);
    if (address === undefined) throw bad(text, `${JSON.stringify(vip)} is no address`);
    return address;
  });
  if (port < 1 || port > 65535) throw bad(text, `${port} is no port`);
  return { name, namespace, service, portName, defines: { port, addresses } };
}

function bad(text: string, why: string): PodwireError {
  return new PodwireError('ERR_BAD_OPTION', `--dns ${JSON.stringify(text)}: ${why}`, {
    hint: 'write _NAME._tcp.DOMAIN=NAMESPACE/SERVICE, and :PORT[@ADDRESS] for a Service that exists nowhere else',
  });
}
