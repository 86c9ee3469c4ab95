/**
 * TCP sockets of a network namespace as sock_diag(7) lists them, whether or not podwire has met them. Layouts: struct
 * inet_diag_req_v2, inet_diag_msg and tcp_info of linux/inet_diag.h and linux/tcp.h; numbers are little endian (this
 * machine's), ports and addresses in network order.
 */
import { ipFromBytes, type Ip } from '../model/ip.ts';
import type { Binding } from './binding.ts';

export interface TcpEnd {
  readonly address: Ip;
  readonly port: number;
}

export interface TcpSocket {
  /** SO_COOKIE */
  readonly cookie: bigint;
  readonly state: 'established' | 'listening';
  readonly local: TcpEnd;
  /** 0.0.0.0 or ::, port 0, of a listener */
  readonly remote: TcpEnd;
  /** acknowledged by the peer, one more for a SYN; received */
  readonly bytesAcked: bigint;
  readonly bytesReceived: bigint;
  /** smoothed, µs; 0: no sample */
  readonly rttUs: number;
}

const SOCK_DIAG_BY_FAMILY = 20;
const NLM_F_REQUEST_DUMP = 0x301;
const HEADER_BYTES = 16; // struct nlmsghdr
const REQUEST_BYTES = 56; // struct inet_diag_req_v2
const MESSAGE_BYTES = 72; // struct inet_diag_msg
const IPPROTO_TCP = 6;
const INET_DIAG_INFO = 2;
const AF_INET = 2;
const AF_INET6 = 10;
const TCP_ESTABLISHED = 1;
const TCP_LISTEN = 10;
/** offsets in struct tcp_info */
const INFO = { rtt: 68, bytesAcked: 120, bytesReceived: 128, end: 136 } as const;

/** Established and listening ones. Throws NativeError: ENOENT when the namespace is gone. */
export function listTcpSockets(binding: Binding, netnsPath: string): TcpSocket[] {
  return [AF_INET, AF_INET6].flatMap((family) =>
    decodeSockets(binding.sockDiag(netnsPath, dumpRequest(family))),
  );
}

function dumpRequest(family: number): Uint8Array {
  const bytes = new Uint8Array(HEADER_BYTES + REQUEST_BYTES);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, bytes.length, true);
  view.setUint16(4, SOCK_DIAG_BY_FAMILY, true);
  view.setUint16(6, NLM_F_REQUEST_DUMP, true);
  bytes[HEADER_BYTES] = family;
  bytes[HEADER_BYTES + 1] = IPPROTO_TCP;
  bytes[HEADER_BYTES + 2] = 1 << (INET_DIAG_INFO - 1);
  view.setUint32(HEADER_BYTES + 4, (1 << TCP_ESTABLISHED) | (1 << TCP_LISTEN), true);
  return bytes;
}

function decodeSockets(messages: Uint8Array): TcpSocket[] {
  const sockets: TcpSocket[] = [];
  const view = new DataView(messages.buffer, messages.byteOffset, messages.byteLength);
  for (let at = 0; at + HEADER_BYTES <= messages.length;) {
    const length = view.getUint32(at, true);
    if (length < HEADER_BYTES || at + length > messages.length) break;
    if (view.getUint16(at + 4, true) === SOCK_DIAG_BY_FAMILY) {
      sockets.push(decodeSocket(messages.subarray(at + HEADER_BYTES, at + length)));
    }
    at += align(length);
  }
  return sockets;
}

function decodeSocket(bytes: Uint8Array): TcpSocket {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const addressBytes = bytes[0] === AF_INET ? 4 : 16;
  const end = (portAt: number, addressAt: number): TcpEnd => ({
    address: ipFromBytes(bytes.subarray(addressAt, addressAt + addressBytes))!,
    port: view.getUint16(portAt),
  });
  const info = tcpInfo(bytes);
  return {
    cookie: view.getBigUint64(44, true),
    state: bytes[1] === TCP_LISTEN ? 'listening' : 'established',
    local: end(4, 8),
    remote: end(6, 24),
    bytesAcked: info?.getBigUint64(INFO.bytesAcked, true) ?? 0n,
    bytesReceived: info?.getBigUint64(INFO.bytesReceived, true) ?? 0n,
    rttUs: info?.getUint32(INFO.rtt, true) ?? 0,
  };
}

function tcpInfo(bytes: Uint8Array): DataView | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = MESSAGE_BYTES; at + 4 <= bytes.length;) {
    const length = view.getUint16(at, true);
    if (length < 4 || at + length > bytes.length) return undefined;
    if (view.getUint16(at + 2, true) === INET_DIAG_INFO && length >= 4 + INFO.end) {
      return new DataView(bytes.buffer, bytes.byteOffset + at + 4, length - 4);
    }
    at += align(length);
  }
  return undefined;
}

/** NLMSG_ALIGN and NLA_ALIGN */
function align(length: number): number {
  return (length + 3) & ~3;
}
