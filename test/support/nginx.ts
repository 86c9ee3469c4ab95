/**
 * nginx in a pod, run directly with a configuration of its own: proxies /echo to an origin with keep-alive, serves files
 * with sendfile, and listens a second time with deferred accept.
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Mesh, Pod, Spawned } from './netns.ts';
import { findProgram } from './node.ts';

export const NGINX_PORT = 8080;
export const NGINX_DEFERRED_PORT = 8081;

/** Files below the returned folder are served as /static/NAME. */
export function staticFolder(mesh: Mesh): string {
  const folder = join(mesh.folder, 'static');
  mkdirSync(folder, { recursive: true });
  return folder;
}

export async function startNginx(mesh: Mesh, pod: Pod, origin: string): Promise<Spawned> {
  const listen = (port: number, suffix: string): string =>
    `listen ${pod.v4}:${port}${suffix}; listen [${pod.v6}]:${port}${suffix};`;
  const config = mesh.writeFile(
    'nginx.conf',
    `user root; daemon off; pid ${mesh.folder}/nginx.pid; error_log stderr notice; worker_processes 2;
     events { worker_connections 2048; }
     http {
       access_log off; sendfile on; tcp_nopush on; client_max_body_size 20m;
       client_body_temp_path ${mesh.folder}/body; proxy_temp_path ${mesh.folder}/proxy;
       upstream origin { server ${origin}; keepalive 32; }
       server {
         ${listen(NGINX_PORT, '')}
         ${listen(NGINX_DEFERRED_PORT, ' deferred')}
         location /static/ { alias ${staticFolder(mesh)}/; }
         location /echo {
           proxy_pass http://origin; proxy_http_version 1.1; proxy_set_header Connection "";
           proxy_request_buffering off; proxy_buffering off;
         }
         location /buffered/ { proxy_pass http://origin/; proxy_http_version 1.1; proxy_set_header Connection ""; }
       }
     }`,
  );
  const nginx = mesh.spawn(findProgram('nginx') ?? 'nginx', ['-c', config], { pod });
  await nginx.waitFor('start worker process');
  return nginx;
}
