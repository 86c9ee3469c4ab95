/**
 * What of a call counts as its credentials.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Metadata } from '@grpc/grpc-js';
import { AnyCredential } from '../../../../src/control/auth/any-credential.ts';
import { AuthenticationError, type Caller } from '../../../../src/control/auth/caller.ts';
import { credentialsOf } from '../../../../src/control/auth/credentials.ts';

function tokenOf(...headers: string[]): string | undefined {
  const metadata = new Metadata();
  for (const header of headers) metadata.add('authorization', header);
  return credentialsOf({ metadata, getAuthContext: () => ({}) }).token;
}

test('one bearer token, or none', () => {
  assert.equal(tokenOf(), undefined);
  assert.equal(tokenOf('Bearer abc.def-_~'), 'abc.def-_~');
  assert.equal(tokenOf('bearer abc'), 'abc');
  for (const headers of [
    ['Bearer a', 'Bearer b'],
    ['Basic abc'],
    ['Bearer '],
    ['Bearer a b'],
    [''],
    [`Bearer ${'a'.repeat(20_000)}`],
  ]) {
    assert.throws(() => tokenOf(...headers), AuthenticationError, headers.join());
  }
});

test('the kind of credential decides, and a refusal is final', async () => {
  const caller = (credential: Caller['credential']) => ({ credential }) as Caller;
  const by = new AnyCredential({
    joinToken: { authenticate: () => Promise.reject(new AuthenticationError('spent')) },
    certificate: { authenticate: () => Promise.resolve(caller('certificate')) },
    kubernetes: { authenticate: () => Promise.resolve(caller('kubernetes-token')) },
  });
  const certificate = new Uint8Array(1);
  const join = 'podwire-join-v1.x.y';
  assert.equal(
    (await by.authenticate({ token: 'jwt', certificate })).credential,
    'kubernetes-token',
  );
  assert.equal(
    (await by.authenticate({ token: undefined, certificate })).credential,
    'certificate',
  );
  await assert.rejects(by.authenticate({ token: join, certificate }), /spent/);
  await assert.rejects(
    by.authenticate({ token: undefined, certificate: undefined }),
    /no credential/,
  );
  const none = new AnyCredential({});
  await assert.rejects(none.authenticate({ token: 'jwt', certificate }), AuthenticationError);
});
