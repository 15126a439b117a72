// SPDX-License-Identifier: Apache-2.0
import nx from '@nx/eslint-plugin';
import tseslint from 'typescript-eslint';

const controlPlaneIo = ['@nestjs/*', 'pg', 'typeorm', 'nats'];
const domainFiles = ['libs/{block-checksums,change-set,durable-storage,segment-log,write-intent-bitmap,retention-journal,protection,traffic-shaping,wan-deduplication}/src/**/*.ts'];
const specFiles = ['**/*.spec.ts', '**/testing/**/*.ts', 'test/**/*.ts'];

/** contract ← domain ← adapter ← app; the agent stays small. */
const depConstraints = [
  { sourceTag: 'type:contract', onlyDependOnLibsWithTags: ['type:contract'], bannedExternalImports: controlPlaneIo },
  { sourceTag: 'type:domain', onlyDependOnLibsWithTags: ['type:contract', 'type:domain'], bannedExternalImports: controlPlaneIo },
  { sourceTag: 'type:adapter', onlyDependOnLibsWithTags: ['type:contract', 'type:domain', 'type:adapter'] },
  { sourceTag: 'type:app', onlyDependOnLibsWithTags: ['type:contract', 'type:domain', 'type:adapter'] },
  { sourceTag: 'type:system', onlyDependOnLibsWithTags: ['type:contract', 'type:domain', 'type:adapter', 'type:app'] },
  { sourceTag: 'scope:agent', onlyDependOnLibsWithTags: ['type:contract', 'type:domain', 'type:adapter'], bannedExternalImports: ['@nestjs/*', 'pg', 'typeorm'] },
];

export default tseslint.config(
  { ignores: ['**/dist/**', '**/node_modules/**', '.nx/**', '.cache/**', '**/*.{js,cjs,mjs}'] },
  ...tseslint.configs.recommendedTypeChecked.map((config) => ({ ...config, files: ['**/*.ts'] })),
  {
    files: ['**/*.ts'],
    plugins: { '@nx': nx },
    languageOptions: {
      parserOptions: { projectService: { allowDefaultProject: ['libs/change-set/src/canary.ts', 'libs/messaging/src/canary.ts'] }, tsconfigRootDir: import.meta.dirname },
    },
    linterOptions: { reportUnusedDisableDirectives: 'error' },
    rules: {
      '@nx/enforce-module-boundaries': ['error', { allow: [], depConstraints, enforceBuildableLibDependency: false }],
      'max-lines': ['error', { max: 400, skipComments: false }],
      'max-lines-per-function': ['error', { max: 70 }],
      'no-console': 'error',
      'no-restricted-exports': ['error', { restrictDefaultExports: { direct: true, named: true, defaultFrom: true, namedFrom: true, namespaceFrom: true } }],
      eqeqeq: 'error',
      '@typescript-eslint/no-explicit-any': 'error',
      '@typescript-eslint/consistent-type-imports': ['error', { fixStyle: 'inline-type-imports', disallowTypeAnnotations: false }],
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
      '@typescript-eslint/require-await': 'off',
      '@typescript-eslint/restrict-template-expressions': 'off',
      '@typescript-eslint/unbound-method': 'off',
      '@typescript-eslint/no-base-to-string': 'off',
    },
  },
  {
    // Nest stays in the services and service-kit; what they stand on can be used, and tested, without it.
    files: ['libs/*/src/**/*.ts', 'apps/{agent,cli}/src/**/*.ts'],
    ignores: ['libs/service-kit/**'],
    rules: { 'no-restricted-imports': ['error', { patterns: [{ group: ['@nestjs/*'], message: 'Nest stays in the services and in service-kit.' }] }] },
  },
  {
    files: domainFiles,
    ignores: specFiles,
    rules: {
      'no-restricted-imports': ['error', { patterns: [{ group: ['node:*'], message: 'Domain code is pure: take what you need through a port.' }] }],
      'no-restricted-properties': ['error', { object: 'Date', property: 'now', message: 'Take the time as a parameter.' }, { object: 'Math', property: 'random', message: 'Take randomness as a parameter.' }],
      'no-restricted-globals': ['error', 'setTimeout', 'setInterval', 'setImmediate', 'process', 'performance', 'fetch'],
    },
  },
  {
    // Nest's constructor injection reads types at run time, so its files import classes as values.
    files: ['libs/{service-kit,event-store}/src/**/*.ts', 'apps/{config-server,process-server,master-target}/src/**/*.ts'],
    rules: { '@typescript-eslint/consistent-type-imports': 'off', '@typescript-eslint/no-extraneous-class': 'off' },
  },
  {
    files: specFiles,
    rules: { 'max-lines': ['error', { max: 800 }], 'max-lines-per-function': 'off', '@nx/enforce-module-boundaries': 'off', '@typescript-eslint/no-unsafe-assignment': 'off', '@typescript-eslint/no-unsafe-member-access': 'off' },
  },
  { files: ['apps/cli/**/*.ts', 'bench/**/*.ts', 'simulation/**/*.ts', 'tools/**/*.ts'], rules: { 'no-console': 'off' } },
);
