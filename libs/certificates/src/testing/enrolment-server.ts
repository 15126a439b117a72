// SPDX-License-Identifier: Apache-2.0
import { isOperationError } from '@secondsite/units';
import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { CertificateAuthority } from '../certificate-authority';
import { type EnrolmentRequest, EnrolmentService, type RenewalRequest } from '../enrolment-service';
import { createEnrolmentToken, type EnrolmentTokenRecord } from '../enrolment-token';
import { foreignCertificate } from '../peer-identity';
import { optionalClientTlsOptions, verifiedPeer } from '../tls-options';
import { MemoryTokenStore } from './memory-token-store';
import { issueTestIdentity } from './test-identities';

/** A configuration server reduced to enrolment and renewal: real HTTPS, real certificates, tokens in memory. */
export class EnrolmentServer {
  readonly tokens = new MemoryTokenStore();
  /** Answers as many requests as this with a broken connection after doing the work, to play a lost answer. */
  answersToLose = 0;
  private readonly service: EnrolmentService;

  private constructor(
    readonly authority: CertificateAuthority,
    private readonly server: Server,
  ) {
    let enrolled = 0;
    const chooseComponentId = async ({ name }: { name: string }) => `${name}-${++enrolled}`;
    this.service = new EnrolmentService({ authority, tokens: this.tokens, natsUrls: ['tls://localhost:4222'], chooseComponentId });
    server.on('request', (request, response) => void this.serve(request, response));
  }

  static async start(authority: CertificateAuthority): Promise<EnrolmentServer> {
    const identity = await issueTestIdentity(authority, { role: 'config-server', lifetimeSeconds: 3600 });
    const server = createServer(optionalClientTlsOptions(identity));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new EnrolmentServer(authority, server);
  }

  get url(): string {
    return `https://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  /** Issues a token and returns its text. */
  issueToken(token: Partial<Omit<EnrolmentTokenRecord, 'tokenHash'>> = {}): string {
    const { tenantId = 'tenant-1', role = 'agent', expiresAtMillis = Date.now() + 60_000 } = token;
    const { text, record } = createEnrolmentToken({ tenantId, role, expiresAtMillis, authorityFingerprint: this.authority.fingerprint });
    this.tokens.add(record);
    return text;
  }

  async close(): Promise<void> {
    this.server.close();
    this.server.closeAllConnections();
    await once(this.server, 'close');
  }

  private async serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { status, body } = await this.answer(request).catch(problem);
    if (this.answersToLose > 0) {
      this.answersToLose--;
      request.socket.destroy();
      return;
    }
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
  }

  private async answer(request: IncomingMessage): Promise<{ status: number; body: object }> {
    const body: unknown = JSON.parse(await readText(request));
    if (request.url === '/v1/enrolments') return { status: 201, body: await this.service.enrol(body as EnrolmentRequest) };
    const peer = verifiedPeer(request.socket);
    if (peer === undefined) throw foreignCertificate();
    return { status: 201, body: await this.service.renew(peer, body as RenewalRequest) };
  }
}

function problem(error: unknown): { status: number; body: object } {
  if (!isOperationError(error)) return { status: 500, body: { detail: String(error) } };
  return { status: 403, body: { code: error.code, detail: error.message, hint: error.hint } };
}

async function readText(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
  return Buffer.concat(chunks).toString('utf8');
}
