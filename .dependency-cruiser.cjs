/**
 * The import order of src/: data flows down this list, and an import points down it or stays in its folder.
 * Type-only imports count too.
 */
const LAYERS = [
  ['cli'],
  ['server', 'batch'],
  ['fleet'],
  ['runtime'],
  ['extensions'],
  ['pipeline'],
  ['prompt', 'sampling', 'checkpoints', 'image'],
  ['context'],
  ['request'],
  ['native'],
];
const FOLDERS = LAYERS.flat();

/** Folder `name` may import itself and the layers below its own. */
const layerRules = LAYERS.flatMap((layer, rank) =>
  layer.map((name) => {
    const allowed = [name, ...LAYERS.slice(rank + 1).flat()];
    const refused = FOLDERS.filter((folder) => !allowed.includes(folder));
    return {
      name: `layer-${name}`,
      comment: `src/${name} may import only ${allowed.join(', ')}`,
      severity: 'error',
      from: { path: `^src/${name}/` },
      to: { path: `^src/(${[...refused, 'index\\.ts'].join('|')})` },
    };
  }),
);

module.exports = {
  forbidden: [
    ...layerRules,
    {
      name: 'known-folders',
      comment: 'every file of src/ but index.ts lies in a folder of the layer list',
      severity: 'error',
      from: {},
      to: { path: '^src/', pathNot: `^src/(index\\.ts|(${FOLDERS.join('|')}|web)/)` },
    },
    {
      name: 'known-folders-from',
      comment: 'every file of src/ but index.ts lies in a folder of the layer list',
      severity: 'error',
      from: { path: '^src/', pathNot: `^src/(index\\.ts|(${FOLDERS.join('|')}|web)/)` },
      to: {},
    },
    {
      name: 'web-alone',
      comment: 'src/web runs in a browser: nothing imports it, and it imports nothing of the rest',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/web/' },
      to: { path: '^src/web/' },
    },
    {
      name: 'web-alone-from',
      comment: 'src/web runs in a browser: nothing imports it, and it imports nothing of the rest',
      severity: 'error',
      from: { path: '^src/web/' },
      to: { path: '^src/', pathNot: '^src/web/' },
    },
    { name: 'no-cycles', severity: 'error', from: {}, to: { circular: true } },
    {
      name: 'addon-only-in-native',
      comment: 'only src/native loads the addon',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/native/' },
      to: { path: '\\.node$|^build/' },
    },
    { name: 'resolvable', severity: 'error', from: {}, to: { couldNotResolve: true } },
    {
      name: 'declared-packages',
      comment: 'src/ runs in an installed package, where development packages are absent',
      severity: 'error',
      // The page is bundled at build time.
      from: { path: '^src/', pathNot: '^src/web/' },
      to: { dependencyTypes: ['npm-dev', 'npm-no-pkg', 'npm-unknown', 'undetermined'] },
    },
  ],
  options: {
    tsPreCompilationDeps: true,
    doNotFollow: { path: 'node_modules' },
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['types', 'import', 'node', 'default'] },
  },
};
