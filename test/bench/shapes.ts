/**
 * The shapes of traffic: what the drivers are told, and which figure speaks for the shape.
 */
export type Metric =
  'p50Us' | 'p99Us' | 'opsPerSecond' | 'gbps' | 'meshCpuSecondsPer100k' | 'meshCpuSecondsPerGb';

/** The figure that speaks for a shape. */
export type Headline = 'p50Us' | 'opsPerSecond' | 'gbps';

/** How many CPUs both ends, and the sidecars between them, may use. */
export type Cpu = 'one' | 'free';

export type Load =
  | { readonly kind: 'rr' | 'crr' | 'stream'; readonly bytes: number }
  | { readonly kind: 'http'; readonly connections: number; readonly qps: number | undefined };

export interface Shape {
  readonly name: string;
  /** for a chart's heading */
  readonly title: string;
  readonly load: Load;
  /** of the server; each kind of traffic has its own, because podwire remembers by port what suits it */
  readonly port: number;
  readonly cpu: Cpu;
  /** the figure that is compared first */
  readonly headline: Headline;
}

/** of an HTTP answer */
export const BODY_BYTES = 1_024;

export const HTTP_PORT = 8080;
const FIRST_TCP_PORT = 9000;
const FREE_SUFFIX = '-free';

type BaseShape = Omit<Shape, 'cpu' | 'name' | 'port'>;

const BASE: { readonly [name: string]: BaseShape } = {
  'tcp-rr-64': tcp('rr', 64, 'Ping-pong of 64 B'),
  'tcp-rr-16k': tcp('rr', 16_384, 'Ping-pong of 16 KiB'),
  'tcp-crr': tcp('crr', 64, 'Connect, ping-pong, close'),
  'tcp-stream': tcp('stream', 65_536, 'Stream in 64 KiB writes'),
  'tcp-stream-16k': tcp('stream', 16_384, 'Stream in 16 KiB writes'),
  'tcp-stream-4k': tcp('stream', 4_096, 'Stream in 4 KiB writes'),
  'tcp-stream-1k': tcp('stream', 1_024, 'Stream in 1 KiB writes'),
  'http-1k-c1': http(1, undefined, 'HTTP, 1 KiB, 1 connection', 'p50Us'),
  'http-1k-c16': http(16, undefined, 'HTTP, 1 KiB, 16 connections', 'opsPerSecond'),
  'http-1000qps-c16': http(16, 1_000, 'HTTP at 1,000 requests/s', 'p50Us'),
};

export const SHAPE_NAMES: readonly string[] = Object.keys(BASE).flatMap((name) => [
  name,
  `${name}${FREE_SUFFIX}`,
]);

export const TCP_PORTS: readonly number[] = Object.values(BASE).flatMap(({ load }, index) =>
  load.kind === 'http' ? [] : [FIRST_TCP_PORT + index],
);

export const DEFAULT_SHAPES: readonly string[] = [
  'tcp-rr-64',
  'tcp-rr-64-free',
  'tcp-rr-16k',
  'tcp-rr-16k-free',
  'tcp-crr',
  'tcp-crr-free',
  'tcp-stream',
  'tcp-stream-free',
  'http-1k-c1',
  'http-1k-c16',
  'http-1000qps-c16',
];

/** What tunnels between nodes are measured by. */
export const TWO_NODE_SHAPES: readonly string[] = [
  'tcp-rr-64',
  'tcp-rr-64-free',
  'tcp-rr-16k',
  'tcp-rr-16k-free',
  'tcp-crr',
  'tcp-crr-free',
  'tcp-stream',
  'tcp-stream-free',
  'http-1k-c16',
  'http-1k-c16-free',
];

export function findShape(name: string): Shape | undefined {
  const free = name.endsWith(FREE_SUFFIX);
  const baseName = free ? name.slice(0, -FREE_SUFFIX.length) : name;
  const base = BASE[baseName];
  if (base === undefined) return undefined;
  const port =
    base.load.kind === 'http' ? HTTP_PORT : FIRST_TCP_PORT + Object.keys(BASE).indexOf(baseName);
  return { ...base, name, port, cpu: free ? 'free' : 'one' };
}

/** Short loads that together run every program of the given shapes. */
export function exerciseShapes(shapes: readonly Shape[]): Shape[] {
  const isHttp = ({ load }: Shape): boolean => load.kind === 'http';
  const names = [
    ...(shapes.every(isHttp) ? [] : ['tcp-rr-64', 'tcp-crr', 'tcp-stream']),
    ...(shapes.some(isHttp) ? ['http-1k-c16'] : []),
  ];
  return names.map(findShape).filter((shape) => shape !== undefined);
}

export const METRICS: {
  readonly [metric in Metric]: { readonly label: string; readonly higherIsBetter: boolean };
} = {
  p50Us: { label: 'p50 µs', higherIsBetter: false },
  p99Us: { label: 'p99 µs', higherIsBetter: false },
  opsPerSecond: { label: 'ops/s', higherIsBetter: true },
  gbps: { label: 'Gb/s', higherIsBetter: true },
  meshCpuSecondsPer100k: { label: 'mesh CPU s/100k', higherIsBetter: false },
  meshCpuSecondsPerGb: { label: 'mesh CPU s/GB', higherIsBetter: false },
};

function tcp(kind: 'rr' | 'crr' | 'stream', bytes: number, title: string): BaseShape {
  return { title, load: { kind, bytes }, headline: kind === 'stream' ? 'gbps' : 'p50Us' };
}

function http(
  connections: number,
  qps: number | undefined,
  title: string,
  headline: Headline,
): BaseShape {
  return { title, load: { kind: 'http', connections, qps }, headline };
}
