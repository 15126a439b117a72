// SPDX-License-Identifier: Apache-2.0
import { afterEach, describe, expect, it } from '@jest/globals';
import { tlsOptions } from '@secondsite/certificates';
import { createTestAuthority, issueTestIdentity } from '@secondsite/certificates/testing';
import { NbdClient } from '@secondsite/nbd';
import { readFileSync } from 'node:fs';
import { HostBench } from '../testing/host-bench';

let bench: HostBench;
afterEach(() => bench.close());

describe('an agent with an identity', () => {
  it('ships by mutual TLS and exports the disk on TCP only to certificates of its tenant', async () => {
    const authority = await createTestAuthority();
    const identity = await issueTestIdentity(authority);
    const processServer = await issueTestIdentity(authority, { role: 'process-server' });
    bench = await HostBench.start({ credentials: identity, targetTls: tlsOptions(processServer) });
    await bench.settled(0);
    const [, tcp = ''] = (await bench.telemetryOf(0)).nbdUris;
    expect(tcp).toMatch(/^nbds:/);
    const client = await NbdClient.connect(tcp, { tls: tlsOptions(identity) });
    await client.write(4096, Buffer.alloc(4096, 9));
    await client.disconnect();
    await bench.settled(0);
    expect(readFileSync(bench.imageOf(0)).equals(Buffer.from(bench.targets[0]?.target.replica ?? []))).toBe(true);
    const stranger = await issueTestIdentity(authority, { tenantId: 'tenant-2' });
    await expect(NbdClient.connect(tcp, { tls: tlsOptions(stranger) })).rejects.toThrow();
    const foreign = await issueTestIdentity(await createTestAuthority());
    await expect(NbdClient.connect(tcp, { tls: { ...tlsOptions(foreign), ca: identity.caPem } })).rejects.toThrow();
    await expect(NbdClient.connect(tcp.replace('nbds:', 'nbd:'))).rejects.toThrow();
  });
});
