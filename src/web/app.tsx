import { useEffect, useRef, useState } from 'preact/hooks';
import {
  type Choices,
  cancelJob,
  DEFAULTS,
  followJob,
  type JobFacts,
  type Picture,
  picturesOf,
  readChoices,
  type Settings,
  startJob,
} from './api';
import { Gallery } from './gallery';
import { SettingsForm } from './settings-form';

function progressText({ state, position, batch, batches, step, steps }: JobFacts): string {
  if (state === 'queued') return position === null ? 'waiting' : `waiting, number ${position} in the queue`;
  return `${batches > 1 ? `batch ${batch} of ${batches}, ` : ''}step ${step} of ${steps}`;
}

export function App() {
  const [settings, setSettings] = useState<Settings>(DEFAULTS);
  const [choices, setChoices] = useState<Choices>();
  const [job, setJob] = useState<JobFacts>();
  const [preview, setPreview] = useState<string>();
  const [pictures, setPictures] = useState<readonly Picture[]>([]);
  const [problem, setProblem] = useState('');
  const prompt = useRef<HTMLTextAreaElement>(null);

  useEffect(() => {
    readChoices().then(
      (read) => {
        setChoices(read);
        setSettings((before) => ({ ...before, ...read.defaults }));
      },
      (error: Error) => setProblem(error.message),
    );
  }, []);

  async function generate(): Promise<void> {
    if (job !== undefined) return;
    setProblem('');
    try {
      const started = await startJob(settings);
      setJob(started);
      const ended = await followJob(started.id, { onStep: setJob, onPreview: setPreview });
      setPictures((before) => [...picturesOf(ended, settings), ...before]);
    } catch (error) {
      setProblem(error instanceof Error ? error.message : String(error));
    }
    setJob(undefined);
    setPreview(undefined);
  }

  function sendToPrompt(picture: Picture): void {
    setSettings({ ...picture.settings, seed: picture.seed });
    prompt.current?.focus();
  }

  return (
    <main>
      <h1>sdgen</h1>
      <SettingsForm
        settings={settings}
        choices={choices}
        busy={job !== undefined}
        prompt={prompt}
        onChange={setSettings}
        onSubmit={generate}
      />
      <section aria-label="Progress" aria-live="polite">
        {problem !== '' && <p role="alert">{problem}</p>}
        {job !== undefined && (
          <div class="progress">
            {preview !== undefined && <img src={preview} alt="What it shows so far" />}
            <label>
              {progressText(job)}
              <progress value={job.progress} max={1} />
            </label>
            <button type="button" onClick={() => cancelJob(job.id).catch((error: Error) => setProblem(error.message))}>
              Cancel
            </button>
          </div>
        )}
      </section>
      <Gallery pictures={pictures} onSend={sendToPrompt} />
    </main>
  );
}
