/**
 * What a real Envoy says of resources: `envoy --mode validate` on a bootstrap file with all of them.
 */
import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { field, message } from '../unit/xds/protobuf-bytes.ts';

/** What Envoy has against it; undefined: nothing. */
export async function validate(
  envoy: string,
  clusters: readonly Uint8Array[],
  listeners: readonly Uint8Array[],
): Promise<string | undefined> {
  const folder = await mkdtemp(join(tmpdir(), 'podwire-envoy-'));
  const file = join(folder, 'bootstrap.pb');
  try {
    await writeFile(file, bootstrap(clusters, listeners));
    const run = promisify(execFile);
    const args = ['--mode', 'validate', '-c', file, '-l', 'error', '--disable-hot-restart'];
    await run(envoy, args, { timeout: 60_000 });
    return undefined;
  } catch (error) {
    const { stderr, message: text } = error as Error & { stderr?: string };
    // the process id and the time would make two of the same look different
    return (stderr || text).replaceAll(/^\[[^\]]*\]\[\d+\]|podwire-envoy-\w+/gm, '').slice(0, 1500);
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** envoy.config.bootstrap.v3.Bootstrap: node, static_resources, dynamic_resources.ads_config */
export function bootstrap(
  clusters: readonly Uint8Array[],
  listeners: readonly Uint8Array[],
): Uint8Array {
  const node = field(1, field(1, 'test'), field(2, 'test'));
  const resources = field(
    2,
    ...listeners.map((bytes) => field(1, Buffer.from(bytes))),
    ...clusters.map((bytes) => field(2, Buffer.from(bytes))),
  );
  const grpc = field(4, field(1, field(1, 'ads')));
  const apiConfig = message(Buffer.from([0x08, 2]), grpc, Buffer.from([0x40, 2]));
  return message(node, resources, field(3, field(3, apiConfig)));
}
