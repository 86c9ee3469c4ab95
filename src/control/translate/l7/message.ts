/**
 * The messages a unit compiles to.
 */
import type { Cluster } from '../../../model/cluster.ts';
import type { Listener } from '../../../model/listener.ts';
import type { LoadAssignment } from '../../../model/load-assignment.ts';
import type { RouteConfiguration } from '../../../model/route.ts';
import type { Secret } from '../../../model/secret.ts';

interface MessageTypes {
  readonly listeners: Listener;
  readonly routes: RouteConfiguration;
  readonly clusters: Cluster;
  readonly loadAssignments: LoadAssignment;
  readonly secrets: Secret;
}

export type MessageType = keyof MessageTypes;

export type Message = {
  [T in MessageType]: {
    readonly type: T;
    /** unique among all */
    readonly id: string;
    readonly body: MessageTypes[T];
  };
}[MessageType];

export const listenerMessage = (body: Listener): Message => ({
  type: 'listeners',
  id: `listener ${body.name}`,
  body,
});

export const routesMessage = (body: RouteConfiguration): Message => ({
  type: 'routes',
  id: `routes ${body.name}`,
  body,
});

export const clusterMessage = (body: Cluster): Message => ({
  type: 'clusters',
  id: `cluster ${body.name}`,
  body,
});

export const loadAssignmentMessage = (body: LoadAssignment): Message => ({
  type: 'loadAssignments',
  id: `endpoints ${body.name}`,
  body,
});

export const secretMessage = (body: Secret): Message => ({
  type: 'secrets',
  id: `secret ${body.name}`,
  body,
});
