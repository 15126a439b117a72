// SPDX-License-Identifier: Apache-2.0
import { z } from 'zod';
import { componentRoleSchema, nameSchema, referenceSchema, timeSchema } from './fields';
import { defineRoute } from './route';

const pemSchema = z.string().min(1).max(16_384);

export const issueEnrolmentToken = defineRoute({
  operationId: 'issueEnrolmentToken', method: 'POST', path: '/v1/enrolment-tokens', tag: 'enrolment', access: 'admin', status: 201,
  summary: 'Issue a one-time, expiring enrolment token. Its text is shown only in this answer.',
  body: z.object({
    role: componentRoleSchema,
    host: referenceSchema.optional().describe('agent only: the host (name or id) that this agent serves; else the host named like the agent, added when missing'),
    validSeconds: z.number().int().min(1).max(30 * 86_400).default(3600),
  }),
  response: z
    .object({ token: z.string(), tokenId: z.string(), role: componentRoleSchema, expiresAt: timeSchema })
    .meta({ id: 'IssuedEnrolmentToken' }),
});

export const listEnrolmentTokens = defineRoute({
  operationId: 'listEnrolmentTokens', method: 'GET', path: '/v1/enrolment-tokens', tag: 'enrolment', access: 'admin', status: 200,
  summary: 'List enrolment tokens, never their text.',
  response: z.object({
    tokens: z.array(
      z.object({
        tokenId: z.string(), role: componentRoleSchema, state: z.enum(['open', 'used', 'expired']),
        issuedAt: timeSchema, expiresAt: timeSchema, usedBy: z.string().optional(),
      }).meta({ id: 'EnrolmentToken' }),
    ),
  }),
});

/** Sent by a component that has no certificate yet. The server decides subject and names, never the request. */
export const enrol = defineRoute({
  operationId: 'enrol', method: 'POST', path: '/v1/enrolments', tag: 'enrolment', access: 'public', status: 201,
  summary: 'Exchange an enrolment token and a certificate request for a certificate.',
  body: z.object({
    token: z.string().min(1).max(512),
    csr: pemSchema,
    name: nameSchema,
    dnsNames: z.array(z.string().max(253)).max(16).default([]),
  }),
  response: z
    .object({
      certificate: z.string(), ca: z.string(), componentId: z.string(), tenantId: z.string(), role: componentRoleSchema,
      natsUrls: z.array(z.string()),
    })
    .meta({ id: 'Enrolment' }),
});

export const renewCertificate = defineRoute({
  operationId: 'renewCertificate', method: 'POST', path: '/v1/certificates/renewals', tag: 'enrolment', access: 'component', status: 201,
  summary: 'Exchange a certificate that is still valid (mutual TLS) and a new certificate request for a new certificate.',
  body: z.object({ csr: pemSchema, dnsNames: z.array(z.string().max(253)).max(16).default([]) }),
  response: z.object({ certificate: z.string(), ca: z.string() }).meta({ id: 'RenewedCertificate' }),
});
