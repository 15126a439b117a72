// SPDX-License-Identifier: Apache-2.0
import type { PrometheusExporter } from '@opentelemetry/exporter-prometheus';
import { OperationError } from '@secondsite/units';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Readiness } from './readiness';

/** Serves `/healthz` (the process answers), `/readyz` (it can do its work, else 503 with the reasons) and `/metrics` (Prometheus). */
export class HealthServer {
  private readonly server: Server;

  constructor(
    private readonly readiness: Readiness,
    private readonly metrics: PrometheusExporter,
  ) {
    this.server = createServer({ headersTimeout: 5000, requestTimeout: 5000, maxHeaderSize: 8192 }, (request, response) => this.serve(request, response));
    this.server.maxConnections = 64;
  }

  /** `host:port`, port 0 for any free one. Returns the address to use. Throws `telemetry/listen`. */
  async listen(listen: string): Promise<string> {
    const [, host, port] = /^(.+):(\d{1,5})$/.exec(listen) ?? [];
    try {
      this.server.listen(Number(port ?? Number.NaN), (host ?? '').replace(/^\[|\]$/g, ''));
      await once(this.server, 'listening');
    } catch (cause) {
      const hint = 'Give host:port of a free address, e.g. 127.0.0.1:0.';
      throw new OperationError({ code: 'telemetry/listen', operation: 'serve health and metrics', context: { listen }, retryable: false, hint, cause });
    }
    const address = this.server.address() as AddressInfo;
    return `http://${address.family === 'IPv6' ? `[${address.address}]` : address.address}:${address.port}`;
  }

  async close(): Promise<void> {
    if (!this.server.listening) return;
    const closed = once(this.server, 'close');
    this.server.close();
    this.server.closeAllConnections();
    await closed;
  }

  private serve(request: IncomingMessage, response: ServerResponse): void {
    const path = (request.url ?? '').split('?')[0];
    if (request.method !== 'GET' && request.method !== 'HEAD') return sendJson(response, 405, { code: 'telemetry/method' });
    if (path === '/healthz') return sendJson(response, 200, { status: 'ok', pid: process.pid, uptimeSeconds: Math.floor(process.uptime()) });
    if (path === '/metrics') return this.metrics.getMetricsRequestHandler(request, response);
    if (path === '/readyz') return void this.readiness.report().then((report) => sendJson(response, report.ready ? 200 : 503, report));
    return sendJson(response, 404, { code: 'telemetry/unknown-path' });
  }
}

function sendJson(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { 'content-type': 'application/json', 'cache-control': 'no-store' }).end(`${JSON.stringify(body)}\n`);
}
