/**
 * The file of --mesh-config: read at the start, followed, and never a reason to stop.
 */
import assert from 'node:assert/strict';
import { chmod, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { MeshConfigFile } from '../../../../src/control/mesh-config-file.ts';
import type { MeshConfig } from '../../../../src/control/mesh-config.ts';
import { temporaryDirectory } from '../../../support/certificates.ts';

test('a file that comes, is replaced, and cannot be trusted', async (t) => {
  const path = join(await temporaryDirectory(t), 'mesh.yaml');
  const logs: (string | undefined)[] = [];
  const codes: string[][] = [];
  const file = new MeshConfigFile(path, ({ config, findings }) => {
    if (config !== undefined) logs.push(pathOf(config));
    codes.push(findings.map(({ code }) => code));
  });
  t.after(() => file.close());
  const save = async (text: string): Promise<void> => {
    await writeFile(`${path}.new`, text, { mode: 0o600 });
    await rename(`${path}.new`, path);
  };
  const until = async (is: () => boolean): Promise<void> => {
    for (let waited = 0; !is() && waited < 10_000; waited += 50) await sleep(50);
    assert.ok(is(), JSON.stringify([logs, codes]));
  };
  await file.start();
  assert.deepEqual([logs, codes], [[], [['FILE_UNREADABLE']]]);
  await save('accessLogFile: /dev/stdout');
  await until(() => logs.at(-1) === '/dev/stdout');
  assert.deepEqual(codes.at(-1), []);
  await save('accessLogFile: /dev/stderr\nnonsense: 1');
  await until(() => logs.at(-1) === '/dev/stderr');
  assert.deepEqual(codes.at(-1), ['NOT_SUPPORTED']);
  const before = logs.length;
  await chmod(path, 0o666);
  await until(() => codes.at(-1)?.[0] === 'FILE_NOT_TRUSTED');
  assert.equal(logs.length, before, 'the last good one stays');
});

function pathOf({ accessLog }: MeshConfig): string | undefined {
  return accessLog && 'path' in accessLog ? accessLog.path : undefined;
}
