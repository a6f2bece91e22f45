import { useEffect, useRef, useState } from 'preact/hooks';
import {
  type Choices,
  cancelJob,
  followJob,
  type JobFacts,
  type Picture,
  picturesOf,
  readChoices,
  startJob,
} from './api';
import { Gallery } from './gallery';
import { type GivenPicture, listenForPictures, readPictureFile, readPictureSource } from './picture-file';
import { type Asked, HIRES_DEFAULTS, SETTINGS_DEFAULTS, START_DEFAULTS, type StartPicture, sizeFor } from './settings';
import { SettingsForm } from './settings-form';

function progressText({ state, position, batch, batches, step, steps }: JobFacts): string {
  if (state === 'queued') return position === null ? 'waiting' : `waiting, number ${position} in the queue`;
  return `${batches > 1 ? `batch ${batch} of ${batches}, ` : ''}step ${step} of ${steps}`;
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** What is asked for before anybody has said anything: the model's own settings. */
const firstAsked = ({ model, upscalers }: Choices): Asked => ({
  settings: { ...SETTINGS_DEFAULTS, ...model.defaults },
  hires: { ...HIRES_DEFAULTS, hr_upscaler: upscalers[0] ?? HIRES_DEFAULTS.hr_upscaler },
  startSettings: START_DEFAULTS,
  start: undefined,
});

let pictureKey = 0;

/** What is asked for once a picture is to begin with. */
function beginWith(given: GivenPicture, asked: Asked, { model }: Choices): Asked {
  pictureKey += 1;
  const start: StartPicture = { ...given, mask: undefined, key: pictureKey };
  return { ...asked, start, settings: { ...asked.settings, ...sizeFor(given, model.defaults) } };
}

/** The same again, with an editor of its own for the mask. */
function again({ asked, seed }: Picture): Asked {
  pictureKey += 1;
  const start = asked.start && { ...asked.start, key: pictureKey };
  return { ...asked, start, settings: { ...asked.settings, seed } };
}

/** The job under way and the pictures of those that ended. */
function useJobs(setProblem: (problem: string) => void) {
  const [job, setJob] = useState<JobFacts>();
  const [preview, setPreview] = useState<string>();
  const [pictures, setPictures] = useState<readonly Picture[]>([]);
  const isBusy = useRef(false);
  const generate = async (asked: Asked): Promise<void> => {
    if (isBusy.current) return;
    isBusy.current = true;
    setProblem('');
    try {
      const started = await startJob(asked);
      setJob(started);
      const ended = await followJob(started.id, { onStep: setJob, onPreview: setPreview });
      setPictures((before) => [...picturesOf(ended, asked), ...before]);
    } catch (error) {
      setProblem(messageOf(error));
    }
    isBusy.current = false;
    setJob(undefined);
    setPreview(undefined);
  };
  return { job, preview, pictures, generate };
}

export function App() {
  const [choices, setChoices] = useState<Choices>();
  const [asked, setAsked] = useState<Asked>();
  const latest = useRef(asked);
  latest.current = asked;
  const [problem, setProblem] = useState('');
  const { job, preview, pictures, generate } = useJobs(setProblem);
  const prompt = useRef<HTMLTextAreaElement>(null);
  const startHeading = useRef<HTMLElement>(null);

  const read = (): void => {
    setProblem('');
    readChoices().then(
      (found) => {
        setChoices(found);
        setAsked(firstAsked(found));
      },
      (error: Error) => setProblem(error.message),
    );
  };
  useEffect(read, []);

  const begin = async (given: Promise<GivenPicture>): Promise<boolean> => {
    if (choices === undefined) return false;
    setProblem('');
    try {
      const picture = await given;
      setAsked((before) => before && beginWith(picture, before, choices));
      return true;
    } catch (error) {
      setProblem(messageOf(error));
      return false;
    }
  };
  useEffect(() => listenForPictures((file) => void begin(readPictureFile(file))), [choices]);

  return (
    <main>
      <h1>sdgen</h1>
      {choices !== undefined && (
        <p class="note">
          {choices.model.name} ({choices.model.family}) on {choices.model.device}, {choices.model.precision}
        </p>
      )}
      {choices !== undefined && asked !== undefined && (
        <SettingsForm
          asked={asked}
          choices={choices}
          busy={job !== undefined}
          prompt={prompt}
          startHeading={startHeading}
          onChange={setAsked}
          onPicture={(file) => void begin(readPictureFile(file))}
          onProblem={setProblem}
          // After this event: what the field left last has to say comes first.
          onSubmit={() => setTimeout(() => latest.current && void generate(latest.current))}
        />
      )}
      <section aria-label="Progress" aria-live="polite">
        {problem !== '' && <p role="alert">{problem}</p>}
        {problem !== '' && choices === undefined && (
          <button type="button" onClick={read}>
            Try again
          </button>
        )}
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
      <Gallery
        pictures={pictures}
        onPrompt={(picture) => {
          setAsked(again(picture));
          prompt.current?.focus();
        }}
        onStart={async ({ source }) => {
          if (await begin(readPictureSource(source))) startHeading.current?.focus();
        }}
      />
    </main>
  );
}
