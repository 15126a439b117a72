// SPDX-License-Identifier: Apache-2.0
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { runTool } from '../host-tools/run-tool';

/** A certificate authority of its own and an identity folder (ca.pem, cert.pem, key.pem) valid for 127.0.0.1 and localhost, made by openssl. */
export async function makeTestIdentity(folder: string): Promise<string> {
  await mkdir(folder, { recursive: true });
  const openssl = (...args: string[]): Promise<string> =>
    runTool({ command: 'openssl', args, cwd: folder, operation: 'make a test certificate', hint: 'apt-get install openssl' });
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  const authority = ['-addext', 'basicConstraints=critical,CA:TRUE', '-addext', 'keyUsage=critical,keyCertSign,cRLSign'];
  await openssl('req', '-x509', ...key, '-keyout', 'ca-key.pem', '-out', 'ca.pem', '-days', '2', '-subj', '/CN=test-authority', ...authority);
  await openssl('req', ...key, '-keyout', 'key.pem', '-out', 'request.pem', '-subj', '/CN=test-component');
  const extensions = ['basicConstraints=critical,CA:FALSE', 'keyUsage=critical,digitalSignature', 'extendedKeyUsage=serverAuth,clientAuth'];
  await writeFile(join(folder, 'extensions'), [...extensions, 'subjectAltName=DNS:localhost,IP:127.0.0.1', ''].join('\n'));
  const signing = ['-CA', 'ca.pem', '-CAkey', 'ca-key.pem', '-CAcreateserial', '-extfile', 'extensions'];
  await openssl('x509', '-req', '-in', 'request.pem', '-out', 'cert.pem', '-days', '2', ...signing);
  return folder;
}
