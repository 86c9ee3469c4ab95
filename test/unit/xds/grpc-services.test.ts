/**
 * The service definitions of the codec carry messages through grpc-js, both ways.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { promisify } from 'node:util';
import * as grpc from '@grpc/grpc-js';
import { createCodec, type DeltaRequest, type DeltaResponse } from '../../../src/xds/codec.ts';

const codec = createCodec();

test('a delta stream carries requests and responses', async (t) => {
  const server = new grpc.Server();
  t.after(() => server.forceShutdown());
  server.addService(codec.discovery, {
    deltaAggregatedResources(stream: grpc.ServerDuplexStream<DeltaRequest, object>) {
      stream.on('data', ({ type_url, resource_names_subscribe }: DeltaRequest) => {
        const resources = resource_names_subscribe.map((name) => ({ name, version: '1' }));
        stream.write({ type_url, nonce: 'n', resources });
      });
    },
  });
  const credentials = grpc.ServerCredentials.createInsecure();
  const port = await promisify(server.bindAsync.bind(server))('127.0.0.1:0', credentials);
  const Client = grpc.makeGenericClientConstructor(codec.discovery, 'discovery');
  const client = new Client(`127.0.0.1:${port}`, grpc.credentials.createInsecure());
  t.after(() => client.close());
  type Call = () => grpc.ClientDuplexStream<object, DeltaResponse>;
  const call = (client['deltaAggregatedResources'] as Call).call(client);
  call.on('error', () => undefined);
  call.write({ type_url: 'u', resource_names_subscribe: ['a', 'b'] });
  const [response] = (await once(call, 'data')) as [DeltaResponse];
  call.cancel();
  assert.deepEqual([response.type_url, response.nonce], ['u', 'n']);
  assert.deepEqual(
    response.resources.map(({ name, version }) => [name, version]),
    [
      ['a', '1'],
      ['b', '1'],
    ],
  );
});
