/**
 * Kubeconfigs that cannot be used are told before anything starts.
 */
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { loadClient } from '../../../src/control/kubernetes/kubeconfig.ts';
import { PodwireError } from '../../../src/errors.ts';
import { temporaryFolder } from './temporary-folder.ts';

const KUBECONFIG = {
  'current-context': 'east',
  clusters: [{ name: 'c', cluster: { server: 'https://127.0.0.1:1/' } }],
  users: [{ name: 'u', user: { token: 't' } }],
  contexts: [
    { name: 'east', context: { cluster: 'c', user: 'u' } },
    { name: 'dangling', context: { cluster: 'gone', user: 'u' } },
  ],
};

async function kubeconfig(t: TestContext, text = JSON.stringify(KUBECONFIG)): Promise<string> {
  const path = join(await temporaryFolder(t), 'kubeconfig');
  await writeFile(path, text);
  return path;
}

const isConfigError =
  (words: RegExp) =>
  (error: unknown): boolean =>
    error instanceof PodwireError && error.code === 'ERR_CONFIG' && words.test(error.message);

test('a context becomes a client of its server', async (t) => {
  const path = await kubeconfig(t);
  for (const context of [undefined, 'east']) {
    const client = await loadClient({ kubeconfig: path, ...(context && { context }) });
    assert.equal(client.server, 'https://127.0.0.1:1');
    await assert.rejects(client.call('/version'), { status: 0, reason: 'ECONNREFUSED' });
    client.close();
  }
});

test('a file that is not there, not YAML, or empty', async (t) => {
  const gone = loadClient({ kubeconfig: '/nowhere/kubeconfig' });
  await assert.rejects(gone, isConfigError(/cannot be read/));
  for (const text of ['{', '']) {
    const broken = loadClient({ kubeconfig: await kubeconfig(t, text) });
    await assert.rejects(broken, isConfigError(/cannot be read/), JSON.stringify(text));
  }
});

test('a context that is not there, or leads nowhere', async (t) => {
  const path = await kubeconfig(t);
  const gone = loadClient({ kubeconfig: path, context: 'west' });
  await assert.rejects(gone, isConfigError(/no context "west"/));
  const dangling = loadClient({ kubeconfig: path, context: 'dangling' });
  await assert.rejects(dangling, isConfigError(/no cluster/));
});
