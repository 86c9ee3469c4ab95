/**
 * Whatever routes and Gateways say: no exception, no order but the specification's, and nothing Envoy would refuse.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { gatewayConfig } from '../../../../src/control/translate/l7/gateway-api/gateway.ts';
import { byRank } from '../../../../src/control/translate/l7/gateway-api/precedence.ts';
import { ApiReport } from '../../../../src/control/translate/l7/gateway-api/report.ts';
import { requestRules } from '../../../../src/control/translate/l7/gateway-api/request-rules.ts';
import { attachedRoutes } from '../../../../src/control/translate/l7/gateway-api/attachment.ts';
import {
  isLeftOut,
  withoutConflicts,
} from '../../../../src/control/translate/l7/gateway-api/route-conflicts.ts';
import { routeVerdict } from '../../../../src/control/translate/l7/gateway-api/route-verdict.ts';
import { serviceRoutes } from '../../../../src/control/translate/l7/gateway-api/service-routes.ts';
import {
  isRequestRoute,
  type ApiRoute,
  type ApiView,
} from '../../../../src/control/translate/l7/gateway-api/view.ts';
import type { FilterChain } from '../../../../src/model/listener.ts';
import { createCodec } from '../../../../src/xds/codec.ts';
import { RESOURCE_TYPES } from '../../../../src/xds/resource-types.ts';
import { gateway, routes } from './arbitraries.ts';
import { roots, secret, world } from './world.ts';

const SEED = Number(process.env['PODWIRE_TEST_SEED'] ?? 7);
const options = { seed: SEED, numRuns: 500 };
const PORT = { name: 'http', port: 80 };

function rankedOf(all: readonly ApiRoute[], view: ApiView) {
  return all
    .filter(isRequestRoute)
    .flatMap((route) =>
      requestRules(route, { route, view, port: 80, tls: false, report: new ApiReport(route) }),
    );
}

test('precedence is a total order that the order of the input does not change', () => {
  const shuffled = routes.chain((all) =>
    fc.shuffledSubarray(all, { minLength: all.length }).map((mixed) => ({ all, mixed })),
  );
  fc.assert(
    fc.property(shuffled, ({ all, mixed }) => {
      const view = world(...all);
      const one = rankedOf(all, view).toSorted(byRank);
      const two = rankedOf(mixed, view).toSorted(byRank);
      assert.deepEqual(one, two);
      for (const [at, a] of one.entries()) {
        for (const [other, b] of one.entries()) {
          assert.equal(Math.sign(byRank(a, b)), Math.sign(at - other));
        }
      }
    }),
    options,
  );
});

test('a Gateway’s configuration does not depend on the order of the routes', () => {
  fc.assert(
    fc.property(gateway, routes, (found, all) => {
      const secrets = [secret('shop/cert'), roots('shop/ca')];
      const one = gatewayConfig(found, world(found, ...secrets, ...all));
      const two = gatewayConfig(found, world(found, ...secrets, ...all.toReversed()));
      assert.deepEqual(one, two);
    }),
    options,
  );
});

test('random routes and Gateways are translated, with names, domains and chains that are distinct', () => {
  let listeners = 0;
  let forwards = 0;
  fc.assert(
    fc.property(gateway, routes, (found, all) => {
      const view = world(found, secret('shop/cert'), roots('shop/ca'), ...all);
      const config = gatewayConfig(found, view);
      distinct(config.listeners.map(({ name }) => name));
      distinct(config.routes.map(({ name }) => name));
      for (const one of config.listeners) {
        listeners++;
        const matches = one.chains.map(({ match }) => match.serverNames);
        distinct(matches.flatMap((names) => (names.length === 0 ? ['*'] : names)));
        for (const { handler } of one.chains) {
          if (handler.type === 'tcp') assert.ok(handler.clusters.length > 0);
        }
      }
      for (const { virtualHosts: hosts } of config.routes) {
        const actions = hosts.flatMap((host) => host.routes.map(({ action }) => action.type));
        forwards += actions.filter((type) => type === 'forward').length;
        distinct(hosts.flatMap(({ domains }) => domains));
      }
      for (const route of all) {
        const verdict = routeVerdict(route, view);
        for (const parent of verdict.parents) {
          const { ok, reason, message } = parent.accepted;
          assert.ok(ok || message !== '');
          assert.equal(ok, reason === 'Accepted');
        }
        for (const { message, fix, path } of verdict.findings) assert.ok(message && fix && path);
      }
      for (const client of ['shop', 'other', undefined]) {
        serviceRoutes({ namespace: 'shop', name: 'a', port: PORT }, client, view);
      }
    }),
    options,
  );
  // or it would say nothing
  assert.ok(listeners > 200 && forwards > 200, `${listeners} ${forwards}`);
});

test('a route that a listener has is accepted by the Gateway, and no other is', () => {
  fc.assert(
    fc.property(gateway, routes, (found, all) => {
      const view = world(found, ...all);
      const { verdict } = gatewayConfig(found, view);
      const attached = verdict.listeners.reduce((sum, one) => sum + one.attachedRoutes, 0);
      const accepted = all.filter((route) =>
        routeVerdict(route, view).parents.some(
          ({ parentRef, accepted: { reason } }) =>
            parentRef.kind === 'Gateway' &&
            ['Accepted', 'UnsupportedValue', 'RouteConflict'].includes(reason),
        ),
      );
      assert.equal(attached > 0, accepted.length > 0);
    }),
    options,
  );
});

test('a route is said to be in conflict where it is not served, and nowhere else', () => {
  let conflicts = 0;
  fc.assert(
    fc.property(gateway, routes, (found, all) => {
      const view = world(found, ...all);
      for (const listener of found.spec.listeners) {
        const attached = attachedRoutes(found, listener, view);
        const served = withoutConflicts(attached);
        for (const one of attached) {
          const leftOut = !served.includes(one);
          if (leftOut) conflicts++;
          assert.equal(isLeftOut(one, found, listener, view), leftOut);
        }
      }
    }),
    { ...options, numRuns: 1000 },
  );
  assert.ok(conflicts > 50, `${conflicts}`);
});

test('what Gateways translate to survives the wire', () => {
  const codec = createCodec();
  const { listeners, routes: configurations } = RESOURCE_TYPES;
  fc.assert(
    fc.property(gateway, routes, (found, all) => {
      const view = world(found, secret('shop/cert'), roots('shop/ca'), ...all);
      const config = gatewayConfig(found, view);
      for (const value of config.listeners) {
        const read = listeners.decode(codec, listeners.encode(codec, value));
        assert.ok(read.ok);
        assert.deepEqual(read.warnings, []);
        // Defaults of connection managers are written out on the wire; all else is as it was.
        assert.deepEqual(read.value.chains.map(withoutHandler), value.chains.map(withoutHandler));
      }
      for (const value of config.routes) {
        const read = configurations.decode(codec, configurations.encode(codec, value));
        assert.deepEqual(read, { ok: true, value, warnings: [] });
      }
    }),
    options,
  );
});

function withoutHandler({ name, match, tls, handler }: FilterChain) {
  return { name, match, tls, handler: handler.type === 'tcp' ? handler.clusters : handler.routes };
}

function distinct(list: readonly string[]): void {
  assert.equal(new Set(list).size, list.length, list.join());
}
