/**
 * `podwire routes`, `clusters` and `listeners`: the configuration of the proxy, one line per what a request meets.
 */
import type { Command } from 'commander';
import type { ResourceView } from '../../admin/resource-view.ts';
import { matcherText } from '../../model/authorization-text.ts';
import type { Cluster } from '../../model/cluster.ts';
import type { FilterChain, Listener } from '../../model/listener.ts';
import type { PathMatcher } from '../../model/matcher.ts';
import type { Route, RouteConfiguration, RouteMatch } from '../../model/route.ts';
import { inspectCommand } from './command.ts';

export interface RouteRow {
  readonly name: string;
  readonly host: string;
  readonly match: string;
  readonly to: string;
}

export function routesCommand(): Command {
  return inspectCommand<RouteConfiguration, RouteRow>({
    name: 'routes',
    description: 'List HTTP routes: hosts, matches and where they lead.',
    kind: 'routes',
    columns: [
      { head: 'NAME', cell: ({ name }) => name },
      { head: 'HOST', cell: ({ host }) => host },
      { head: 'MATCH', cell: ({ match }) => match },
      { head: 'TO', cell: ({ to }) => to },
    ],
    rows: routeRows,
    empty: 'no routes',
  });
}

/** In the order in which they are tried. */
export function routeRows(resources: readonly ResourceView<RouteConfiguration>[]): RouteRow[] {
  return resources.flatMap(({ name, resource }) =>
    resource.virtualHosts.flatMap(({ domains, routes }) =>
      routes.map((route) => ({
        name,
        host: domains.join(','),
        match: matchText(route.match),
        to: targetText(route),
      })),
    ),
  );
}

function matchText({ path, headers, query, fraction, grpcOnly }: RouteMatch): string {
  const rest = [
    ...headers.map(({ name, invert }) => `${invert ? '!' : ''}${name}`),
    ...query.map(({ name }) => `?${name}`),
    ...(fraction === undefined ? [] : [`${fraction / 10_000} %`]),
    ...(grpcOnly ? ['grpc'] : []),
  ];
  return [pathText(path), ...rest].join(' ');
}

function pathText(path: PathMatcher): string {
  if (path.type === 'connect') return 'CONNECT';
  if (path.type === 'segment-prefix') return `${path.value}[/*]`;
  return matcherText({ type: path.type, value: path.value, ignoreCase: false });
}

function targetText({ action }: Route): string {
  switch (action.type) {
    case 'respond':
      return `respond ${action.status}`;
    case 'redirect':
      return `redirect ${action.status} ${action.host ?? ''}`.trimEnd();
    case 'forward': {
      const { clusters } = action;
      if (clusters.type === 'header') return `cluster of header ${clusters.header}`;
      const { choices } = clusters;
      if (choices.length === 1) return choices[0]!.cluster;
      return choices.map(({ cluster, weight }) => `${cluster} (${weight})`).join(', ');
    }
  }
}

export function clustersCommand(): Command {
  return inspectCommand<Cluster, ResourceView<Cluster>>({
    name: 'clusters',
    description: 'List clusters: how their endpoints are found, chosen and spoken to.',
    kind: 'clusters',
    columns: [
      { head: 'NAME', cell: ({ name }) => name },
      { head: 'DISCOVERY', cell: ({ resource }) => resource.discovery.type },
      { head: 'BALANCING', cell: ({ resource }) => resource.balancer.policy.type },
      { head: 'PROTOCOL', cell: ({ resource }) => resource.protocol },
      { head: 'TLS', cell: ({ resource }) => (resource.tls ? resource.tls.sni || 'yes' : 'no') },
      { head: 'SERVICE', cell: ({ resource }) => serviceText(resource) },
    ],
    rows: (clusters) => clusters,
    empty: 'no clusters',
  });
}

function serviceText({ service }: Cluster): string {
  return service ? `${service.namespace}/${service.name}` : '';
}

export interface ListenerRow {
  readonly name: string;
  readonly direction: string;
  readonly address: string;
  readonly chain: string;
  readonly match: string;
  readonly handler: string;
}

export function listenersCommand(): Command {
  return inspectCommand<Listener, ListenerRow>({
    name: 'listeners',
    description: 'List listeners, their filter chains and what each does with a connection.',
    kind: 'listeners',
    columns: [
      { head: 'NAME', cell: ({ name }) => name },
      { head: 'DIRECTION', cell: ({ direction }) => direction },
      { head: 'ADDRESS', cell: ({ address }) => address },
      { head: 'CHAIN', cell: ({ chain }) => chain },
      { head: 'MATCH', cell: ({ match }) => match },
      { head: 'DOES', cell: ({ handler }) => handler },
    ],
    rows: listenerRows,
    empty: 'no listeners',
  });
}

export function listenerRows(resources: readonly ResourceView<Listener>[]): ListenerRow[] {
  return resources.flatMap(({ name, resource }) => {
    const { direction, addresses, port, chains, defaultChain } = resource;
    const address = `${addresses.join(',') || '*'}:${port}`;
    const row = (chain: FilterChain, match: string): ListenerRow => ({
      ...{ name, direction, address, chain: chain.name },
      match,
      handler: handlerText(chain),
    });
    return [
      ...chains.map((chain) => row(chain, chainText(chain))),
      ...(defaultChain ? [row(defaultChain, 'otherwise')] : []),
    ];
  });
}

function chainText({ match }: FilterChain): string {
  const parts = [
    ...(match.destinationPort === undefined ? [] : [`port ${match.destinationPort}`]),
    ...match.serverNames.map((serverName) => `sni ${serverName}`),
    ...(match.transport === undefined ? [] : [match.transport]),
    ...match.applicationProtocols,
  ];
  return parts.join(' ') || 'any';
}

function handlerText({ handler, tls }: FilterChain): string {
  const secured = tls ? 'tls, ' : '';
  if (handler.type === 'tcp') {
    return `${secured}tcp to ${handler.clusters.map(({ cluster }) => cluster).join(',')}`;
  }
  const { routes, filters } = handler;
  const names = filters.map(({ type }) => type).filter((type) => type !== 'router');
  const table = routes.type === 'rds' ? routes.name : 'routes of its own';
  return `${secured}http by ${table}${names.length > 0 ? ` (${names.join(',')})` : ''}`;
}
