import { chmod, mkdir, symlink } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { modelDefaults } from '../../../src/checkpoints/defaults.js';
import { findCheckpoint, listCheckpoints, listKnownCheckpoints } from '../../../src/checkpoints/find.js';
import { FailureError, UsageError } from '../../../src/request/errors.js';
import { useScratchFolder } from '../../support/scratch-folder.js';

const { path: at, put } = useScratchFolder();

const find = (wanted: string | undefined, ...folders: string[]) =>
  findCheckpoint(
    wanted,
    folders.map((folder) => at(folder)),
    at(),
    at('package/pocket'),
  );

describe('listCheckpoints', () => {
  it('walks folders, not hidden ones, not twice, not in circles', async () => {
    await put('a/one.safetensors');
    await put('a/sub/two.CKPT');
    await put('a/readme.txt');
    await put('a/.hidden/three.safetensors');
    await symlink(at('a'), at('a/sub/loop'));
    await symlink(at('gone'), at('a/dangling.safetensors'));
    const files = await listCheckpoints([at('a'), at('a'), at('absent')]);
    expect(files.map(({ name, bytes }) => [name, bytes])).toEqual([
      ['one', 17],
      ['two', 14],
    ]);
  });

  it('says when a folder is none', async () => {
    await put('file');
    await expect(listCheckpoints([at('file')])).rejects.toThrow(/cannot read the models folder .*file/);
  });

  it.skipIf(process.getuid?.() === 0)('says when a folder is closed', async () => {
    await mkdir(at('closed'));
    await chmod(at('closed'), 0);
    await expect(listCheckpoints([at('closed')])).rejects.toThrow(/permission is denied/);
  });
});

describe('findCheckpoint', () => {
  it('takes a path, a name with or without its ending, in either case', async () => {
    const path = await put('models/One.safetensors');
    for (const wanted of [path, './models/One.safetensors', 'One', 'one', 'one.safetensors', 'One.safetensors']) {
      expect((await find(wanted, 'models')).path).toBe(path);
    }
    await put('here.safetensors');
    expect((await find('here.safetensors', 'models')).path).toBe(at('here.safetensors'));
  });

  it('prefers the exact case and what can be read', async () => {
    const upper = await put('m/A.safetensors');
    const lower = await put('m/a.safetensors');
    await put('m/a.ckpt');
    expect((await find('A', 'm')).path).toBe(upper);
    expect((await find('a', 'm')).path).toBe(lower);
  });

  it('names the choices when a name is ambiguous', async () => {
    const one = await put('m/x/a.safetensors');
    const two = await put('n/a.safetensors');
    await expect(find('a', 'm', 'n')).rejects.toThrow(
      `the model name a is ambiguous: give one of the paths ${one}, ${two}`,
    );
  });

  it('says what to do when there is none', async () => {
    await expect(find(undefined)).rejects.toThrow(/no model is given: make a tiny random one with `node scripts/);
    await expect(find('x', 'empty')).rejects.toThrow(/no model named x in .*empty; make a tiny random one/);
    await put('m/micro1.safetensors');
    await expect(find('micor1', 'm')).rejects.toThrow(/did you mean micro1\?$/);
    await expect(find('zzzzzzzz', 'm')).rejects.toThrow(/`sdgen models list` shows the 1 there$/);
    await expect(find('./m')).rejects.toThrow(/is not a file/);
    await expect(find('./n.safetensors')).rejects.toThrow(/there is no such file/);
    await expect(find('m/micro1.safetensors/x.safetensors')).rejects.toThrow(/not a folder/);
    await expect(find('')).rejects.toThrow(UsageError);
    await expect(find('a\0b')).rejects.toThrow(UsageError);
    await expect(find('x', 'm')).rejects.toThrow(FailureError);
  });
});

describe('the model that the package carries', () => {
  const own = () => at('package/pocket');

  it('is what no name means, and its own name where nothing else has it', async () => {
    await put('package/pocket/model_index.json');
    expect(await find(undefined)).toMatchObject({ name: 'pocket', path: own(), isFolder: true });
    expect((await find('Pocket', 'm')).path).toBe(own());
    const other = await put('m/pocket.safetensors');
    expect((await find('pocket', 'm')).path).toBe(other);
    expect((await find(undefined, 'm')).path).toBe(own());
  });

  it('is listed once', async () => {
    expect(await listKnownCheckpoints([at('package')], own())).toEqual([]);
    await put('package/pocket/model_index.json');
    const one = await put('m/a.safetensors');
    const paths = async (folder: string) => (await listKnownCheckpoints([at(folder)], own())).map(({ path }) => path);
    expect(await paths('m')).toEqual([one, own()]);
    expect(await paths('package')).toEqual([own()]);
  });
});

describe('modelDefaults', () => {
  it('takes what a checkpoint states for itself', () => {
    expect(modelDefaults({}, 'm')).toEqual({});
    expect(
      modelDefaults({ 'sdgen.default_width': '256', 'sdgen.default_sampler': 'Euler', 'sdgen.text_heads': '4' }, 'm'),
    ).toEqual({ width: 256, sampler: 'Euler' });
  });

  it.each([
    ['sdgen.default_width', '63', 'width must be a multiple of 8'],
    ['sdgen.default_steps', 'many', 'steps must be a whole number'],
    ['sdgen.default_steps', '', 'steps must be a whole number'],
    ['sdgen.default_sampler', '', "sampler must be a sampler's name"],
  ])('refuses %s = %j', (key, value, message) => {
    expect(() => modelDefaults({ [key]: value }, 'm.safetensors')).toThrow(
      expect.objectContaining({ code: 'E_MODEL_FORMAT', message: expect.stringContaining(message) }),
    );
  });
});
