// SPDX-License-Identifier: Apache-2.0
import {
  type CertificateAuthority, createEnrolmentToken, type EnrolmentAnswer, type EnrolmentRequest, EnrolmentService, parseEnrolmentToken, type PeerIdentity,
  type RenewalAnswer, type RenewalRequest,
} from '@secondsite/certificates';
import type { DataPlaneRole } from '@secondsite/contracts';
import { type Fact, fact, inventoryDecider, type Rejection } from '@secondsite/protection';
import { isoFromMicros, isOperationError } from '@secondsite/units';
import { randomBytes, X509Certificate } from 'node:crypto';
import { type CommandOrigin, type CommandRunner, refusedRequest, type UnitOfWork } from '../commands/command-runner';
import { streams } from '../commands/streams';
import type { DirectoryCache } from '../read-models/directory-cache';
import { findHostRow } from '../read-models/find';
import type { AuditAllowance } from '../security/audit-allowance';
import type { ServerClock } from '../server-clock';
import { EnrolmentTokens, type StoredToken } from './enrolment-tokens';

export interface EnrolmentsParts {
  readonly authority: CertificateAuthority;
  readonly commands: CommandRunner;
  readonly directories: DirectoryCache;
  readonly clock: ServerClock;
  readonly tenantId: string;
  readonly natsUrls: readonly string[];
  readonly allowance: AuditAllowance;
}

export interface TokenWish {
  readonly role: DataPlaneRole;
  readonly host: string | undefined;
  readonly validSeconds: number;
}

interface Enrolling {
  readonly token: StoredToken;
  readonly unit: UnitOfWork;
}

type RefusalReason = Fact<'security.enrolment-refused.v1'>['data']['reason'];

const reasonOf: Readonly<Record<string, RefusalReason>> = {
  'enrolment/token-unknown': 'token-unknown', 'enrolment/token-used': 'token-used', 'enrolment/token-expired': 'token-expired',
};
const shortRole: Record<DataPlaneRole, string> = { agent: 'host', 'process-server': 'ps', 'master-target': 'mt' };

/** Tokens, enrolment and renewal, each in one transaction with its events. */
export class Enrolments {
  constructor(private readonly parts: EnrolmentsParts) {}

  async issueToken(wish: TokenWish, origin: CommandOrigin): Promise<{ token: string; tokenId: string; role: DataPlaneRole; expiresAt: string }> {
    const { authority, clock, commands, directories, tenantId } = this.parts;
    const hostId = wish.host === undefined ? undefined : findHostRow(await directories.load(), wish.host).hostId;
    const expires = clock.now() + wish.validSeconds * 1e6;
    const { text, record } = createEnrolmentToken({
      authorityFingerprint: authority.fingerprint, tenantId, role: wish.role, expiresAtMillis: Math.floor(expires / 1000),
    });
    const tokenId = `token-${randomBytes(6).toString('hex')}`;
    const expiresAt = isoFromMicros(expires);
    await commands.run(origin, async (unit) => {
      await new EnrolmentTokens(unit.transaction.manager).add({ tokenId, hostId, record });
      const issued = { tokenId, role: wish.role, expiresAt, ...(hostId === undefined ? {} : { hostId }) };
      await unit.append(streams.security, fact('security.enrolment-token-issued.v1', issued));
    });
    return { token: text, tokenId, role: wish.role, expiresAt };
  }

  /** Throws OperationError `enrolment/…` or `certificate/…`; refusals are in the audit log then. */
  async enrol(request: EnrolmentRequest, remoteAddress: string): Promise<EnrolmentAnswer> {
    const tokenHash = parseEnrolmentToken(request.token)?.tokenHash;
    try {
      return await this.#enrol(request, tokenHash ?? '');
    } catch (error) {
      if (isOperationError(error) && this.parts.allowance.take()) await this.#audit({ code: error.code, tokenHash, remoteAddress });
      throw error;
    }
  }

  /** A renewed certificate for the identity that mutual TLS has verified. */
  async renew(peer: PeerIdentity, request: RenewalRequest): Promise<RenewalAnswer> {
    const origin = { actor: { kind: 'component', id: peer.componentId } } as const;
    return this.parts.commands.run(origin, async (unit) => {
      const answer = await this.#service(new EnrolmentTokens(unit.transaction.manager)).renew(peer, request);
      const { serialNumber, validTo } = new X509Certificate(answer.certificate);
      const renewed = { componentId: peer.componentId, role: peer.role, serial: serialNumber, expiresAt: new Date(validTo).toISOString() };
      await unit.append(streams.security, fact('security.certificate-renewed.v1', renewed));
      return answer;
    });
  }

  async #enrol(request: EnrolmentRequest, tokenHash: string): Promise<EnrolmentAnswer> {
    const known = await this.parts.commands.run({ actor: { kind: 'system', id: 'enrolment' } }, (unit) =>
      new EnrolmentTokens(unit.transaction.manager).load(tokenHash),
    );
    const origin = { actor: { kind: 'component', id: request.name }, causationId: known?.tokenId ?? 'unknown-token' } as const;
    return this.parts.commands.run(origin, async (unit) => {
      const tokens = new EnrolmentTokens(unit.transaction.manager);
      const token = await tokens.load(tokenHash);
      const service = this.#service(tokens, (role) => (token ? this.#chooseComponentId(request.name, { role, enrolling: { token, unit } }) : undefined));
      const answer = await service.enrol(request);
      if (token && token.record.use === undefined) await this.#record(answer, { request, unit });
      return answer;
    });
  }

  #service(tokens: EnrolmentTokens, choose?: (role: DataPlaneRole) => Promise<string> | undefined): EnrolmentService {
    const { authority, clock, natsUrls } = this.parts;
    return new EnrolmentService({
      authority, tokens, natsUrls, nowMillis: () => clock.now() / 1000,
      chooseComponentId: async ({ role }) => (await choose?.(role as DataPlaneRole)) ?? newComponentId(role as DataPlaneRole),
    });
  }

  /** An agent is its host: the one its token names, else the one with its name that has no agent yet, else a new one. */
  async #chooseComponentId(name: string, { role, enrolling }: { readonly role: DataPlaneRole; readonly enrolling: Enrolling }): Promise<string> {
    if (role !== 'agent') return newComponentId(role);
    const { token, unit } = enrolling;
    if (token.hostId !== undefined) return token.hostId;
    const directory = await this.parts.directories.load();
    const host = directory.hosts.find((one) => one.name === name);
    if (host && directory.components.some((component) => component.componentId === host.hostId)) throw refusedRequest(agentExists(name));
    if (host) return host.hostId;
    const hostId = newComponentId('agent');
    await unit.decide({ decider: inventoryDecider, streamId: streams.inventory }, { kind: 'add-host', hostId, name });
    return hostId;
  }

  async #record(answer: EnrolmentAnswer, { request, unit }: { readonly request: EnrolmentRequest; readonly unit: UnitOfWork }): Promise<void> {
    const { componentId } = answer;
    const role = answer.role as DataPlaneRole;
    const certificate = new X509Certificate(answer.certificate);
    const expiresAt = new Date(certificate.validTo).toISOString();
    const hostId = role === 'agent' ? { hostId: componentId } : {};
    const component = { componentId, role, name: request.name, expiresAt, ...hostId };
    await unit.decide({ decider: inventoryDecider, streamId: streams.inventory }, { kind: 'enrol-component', component });
    const notBefore = new Date(certificate.validFrom).toISOString();
    await unit.append(streams.security, fact('security.certificate-issued.v1', { componentId, role, serial: certificate.serialNumber, notBefore, expiresAt }));
  }

  async #audit(refusal: { readonly code: string; readonly tokenHash: string | undefined; readonly remoteAddress: string }): Promise<void> {
    const reason = reasonOf[refusal.code] ?? 'request-invalid';
    await this.parts.commands.run({ actor: { kind: 'system', id: 'enrolment' } }, async (unit) => {
      const token = refusal.tokenHash === undefined ? undefined : await new EnrolmentTokens(unit.transaction.manager).load(refusal.tokenHash);
      const refused = { refusalId: unit.newId(), reason, remoteAddress: refusal.remoteAddress, ...(token ? { tokenId: token.tokenId } : {}) };
      await unit.append(streams.security, fact('security.enrolment-refused.v1', refused));
    });
  }
}

function newComponentId(role: DataPlaneRole): string {
  return `${shortRole[role]}-${randomBytes(5).toString('hex')}`;
}

function agentExists(name: string): Rejection {
  return {
    kind: 'conflict', code: 'enrolment/name-taken', detail: `host ${name} has an agent`,
    hint: `To replace it, issue a token for this host: secondsite enroll token --role agent --host ${name}`,
  };
}
