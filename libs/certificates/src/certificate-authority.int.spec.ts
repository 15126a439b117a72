// SPDX-License-Identifier: Apache-2.0
import { afterEach, describe, expect, it } from '@jest/globals';
import { Pkcs10CertificateRequestGenerator, SubjectAlternativeNameExtension } from '@peculiar/x509';
import { webcrypto, X509Certificate } from 'node:crypto';
import { mkdir, mkdtemp, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CertificateAuthority } from './certificate-authority';
import { identityFiles, readIdentity, writeIdentity } from './identity-folder';
import { renewalDueMillis } from './identity-rotator';
import { createKeyAndRequest, generateKeyPair, signingAlgorithm } from './key-pair';
import { createTestAuthority, issueTestIdentity } from './testing';

const folders: string[] = [];

async function makeFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'certificates-'));
  folders.push(folder);
  return folder;
}

afterEach(async () => {
  await Promise.all(folders.splice(0).map((folder) => rm(folder, { recursive: true })));
});

const identity = { tenantId: 'tenant-1', role: 'agent', componentId: 'agent-1' } as const;

describe('the authority', () => {
  it('is made once in its folder, readable by its owner only, also when two open it at once', async () => {
    const folder = await makeFolder();
    const opened = await Promise.all([1, 2, 3].map(() => CertificateAuthority.openFolder(folder)));
    expect(new Set(opened.map(({ fingerprint }) => fingerprint)).size).toBe(1);
    expect((await CertificateAuthority.openFolder(folder)).certificatePem).toBe(opened[0]?.certificatePem);
    expect((await stat(join(folder, 'authority.pem'))).mode & 0o777).toBe(0o600);
  });

  it('says so when its file is damaged', async () => {
    const folder = await makeFolder();
    await writeFile(join(folder, 'authority.pem'), 'nothing');
    await expect(CertificateAuthority.openFolder(folder)).rejects.toMatchObject({ code: 'certificate/damaged-authority' });
  });

  it('decides subject, names and use of a certificate, whatever the request asks for', async () => {
    const authority = await createTestAuthority();
    const keys = await generateKeyPair();
    const greedy = await Pkcs10CertificateRequestGenerator.create({
      name: [{ CN: ['config-server-1'] }, { OU: ['config-server'] }],
      keys,
      signingAlgorithm,
      extensions: [new SubjectAlternativeNameExtension([{ type: 'url', value: 'secondsite:tenant-2/config-server/x' }])],
    });
    const { certificatePem } = await authority.issue({ csrPem: greedy.toString('pem'), identity, dnsNames: ['host.example', '192.0.2.7'] });
    const certificate = new X509Certificate(certificatePem);
    expect(certificate.subject).toBe('O=tenant-1\nOU=agent\nCN=agent-1');
    expect(certificate.subjectAltName).toBe(
      'URI:secondsite:tenant-1/agent/agent-1, DNS:localhost, IP Address:127.0.0.1, IP Address:0:0:0:0:0:0:0:1, DNS:host.example, IP Address:192.0.2.7',
    );
    expect(certificate.ca).toBe(false);
    expect(certificate.verify(new X509Certificate(authority.certificatePem).publicKey)).toBe(true);
  });

  it('limits the life of a certificate and names its renewal at two thirds', async () => {
    const authority = await createTestAuthority();
    const { csrPem } = await createKeyAndRequest('x');
    const days = (millis: number) => Math.round(((millis - Date.now()) / 86_400_000) * 10) / 10;
    const usual = await authority.issue({ csrPem, identity });
    expect(days(usual.notAfter.getTime())).toBe(30);
    expect(days(renewalDueMillis(usual.certificatePem))).toBe(20);
    const short = await authority.issue({ csrPem, identity, lifetimeSeconds: 3 });
    const endMillis = Math.floor(short.notAfter.getTime() / 1000) * 1000;
    expect(endMillis - renewalDueMillis(short.certificatePem)).toBe(1000);
  });

  it('refuses requests that are none, are not signed by their key, or use another kind of key', async () => {
    const authority = await createTestAuthority();
    const { csrPem } = await createKeyAndRequest('x');
    const der = Buffer.from(csrPem.replace(/-----[^-]+-----|\s/g, ''), 'base64');
    der[der.length - 3] = (der[der.length - 3] ?? 0) ^ 1;
    const broken = `-----BEGIN CERTIFICATE REQUEST-----\n${der.toString('base64')}\n-----END CERTIFICATE REQUEST-----\n`;
    const otherAlgorithm = { name: 'ECDSA', namedCurve: 'P-384', hash: 'SHA-384' };
    const otherKeys = await webcrypto.subtle.generateKey(otherAlgorithm, true, ['sign', 'verify']);
    const other = await Pkcs10CertificateRequestGenerator.create({ keys: otherKeys, signingAlgorithm: otherAlgorithm });
    for (const bad of ['', 'x', broken, other.toString('pem')]) {
      await expect(authority.issue({ csrPem: bad, identity })).rejects.toMatchObject({ code: 'certificate/bad-request' });
    }
  });

  it.each([['*.example'], ['a b'], ['x/y'], [''], ['a'.repeat(254)], ['evil,URI:x'], Array.from({ length: 17 }, (_, i) => `h${i}`)])(
    'refuses the names %s',
    async (...dnsNames) => {
      const authority = await createTestAuthority();
      const { csrPem } = await createKeyAndRequest('x');
      await expect(authority.issue({ csrPem, identity, dnsNames })).rejects.toMatchObject({ code: 'certificate/bad-request' });
    },
  );
});

describe('the identity folder', () => {
  it('keeps an identity, its key for its owner only', async () => {
    const folder = await makeFolder();
    expect(await readIdentity(folder)).toBeUndefined();
    const written = await issueTestIdentity(await createTestAuthority());
    await writeIdentity(folder, written);
    expect(await readIdentity(folder)).toEqual(written);
    expect((await stat(identityFiles(folder).keyFile)).mode & 0o777).toBe(0o600);
    expect(await readFile(identityFiles(folder).componentFile, 'utf8')).not.toContain('PRIVATE');
  });

  it('holds the old or the new identity, whole, wherever a change was cut off', async () => {
    const authority = await createTestAuthority();
    const [before, after] = [await issueTestIdentity(authority), await issueTestIdentity(authority)];
    const names = ['ca.pem', 'cert.pem', 'key.pem', 'component.json'];
    for (let moved = -1; moved <= names.length; moved++) {
      const folder = await makeFolder();
      await writeIdentity(folder, before);
      const other = await makeFolder();
      await writeIdentity(other, after);
      // -1: cut off before the change became valid; n: after n files had been moved into place.
      const next = join(folder, 'identity', moved < 0 ? 'next.tmp' : 'next');
      await mkdir(next);
      for (const name of names) await rename(join(other, 'identity', name), join(next, name));
      for (const name of names.slice(0, Math.max(moved, 0))) await rename(join(next, name), join(folder, 'identity', name));
      expect(await readIdentity(folder)).toEqual(moved < 0 ? before : after);
      await writeIdentity(folder, after);
      expect(await readIdentity(folder)).toEqual(after);
    }
  });

  it('refuses to write, and to read, parts that do not belong together', async () => {
    const folder = await makeFolder();
    const authority = await createTestAuthority();
    const [one, two] = [await issueTestIdentity(authority), await issueTestIdentity(authority)];
    await expect(writeIdentity(folder, { ...one, keyPem: two.keyPem })).rejects.toMatchObject({ code: 'certificate/mismatch' });
    expect(await readIdentity(folder)).toBeUndefined();
    await writeIdentity(folder, one);
    await writeFile(identityFiles(folder).keyFile, two.keyPem);
    await expect(readIdentity(folder)).rejects.toMatchObject({ code: 'certificate/damaged-identity' });
    await writeFile(identityFiles(folder).componentFile, '{');
    await expect(readIdentity(folder)).rejects.toMatchObject({ code: 'certificate/damaged-identity' });
  });
});
