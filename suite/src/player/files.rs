//! The steps `read_file`, which checks what was read, and `write_file`.
//!
//! Never compares whole contents during the measured time.

use super::attempts::attempts;
use super::{Ending, Player};
use crate::file_attempts::FileAttempts;
use crate::file_check;
use crate::plain_calls;
use crate::plan::{FileChoice, How};
use crate::runtime::{Runtime, waiting};

/// Limits of the complete check after the window, for each `how`; at least one file per root. They
/// keep the overhead of a trial at about 50 ms.
const WHOLE_BYTES: u64 = 64 << 20;
const WHOLE_FILES: u64 = 64;
/// The same for files on a slow disk: how long reading them one after the other may take.
const WHOLE_NS: u64 = 50_000_000;

impl<R: Runtime> Player<R> {
    pub(super) async fn read_file(&mut self, choice: FileChoice, how: How) -> Result<(), Ending> {
        let scene = self.scene;
        let Some(files) = &scene.plan().files else {
            return Err(Ending::Error("read_file: the plan has no files".to_owned()));
        };
        let index = self.choose(choice, files.count);
        let chance = self.draw();
        self.read(index, how, move |contents| {
            file_check::check_windows(files, index, contents, chance)
        })
        .await?;
        self.files_read += 1;
        if files.cold {
            scene.board().log_file_read(index);
        }
        Ok(())
    }

    pub(super) async fn write_file(
        &mut self,
        bytes: u64,
        sync: bool,
        how: How,
    ) -> Result<(), Ending> {
        let scene = self.scene;
        let write = scene.written().begin(bytes, sync);
        let written = if how.is_of_runtime() {
            waiting!(R, scene, self.runtime.write_file(write.what))
        } else {
            let job = move || plain_calls::write_file(write.what);
            self.wait_here_or_offloaded("write_file", how, job).await?
        };
        written.map_err(|error| Ending::error("write_file", &error))?;
        scene.written().end(write);
        Ok(())
    }

    /// Reads this root's share of some files once more and compares every byte. To be called after
    /// the window, because it holds the loop.
    pub(crate) async fn check_whole_files(&mut self, root: usize, roots: usize) {
        let scene = self.scene;
        let Some(files) = &scene.plan().files else { return };
        let in_time = WHOLE_NS / files.latency_ns.max(1);
        let fitting = (WHOLE_BYTES / files.bytes).min(in_time);
        let fitting = fitting.clamp(1, WHOLE_FILES.min(files.count.into()));
        for how in scene.plan().file_reads() {
            for turn in (root as u64..fitting.max(roots as u64)).step_by(roots) {
                // Spread over all files, starting at a random one.
                let spread = turn * u64::from(files.count) / fitting;
                let index =
                    (scene.plan().seed.wrapping_add(spread) % u64::from(files.count)) as u32;
                let check = |contents: &[u8]| file_check::check_whole(files, index, contents);
                // Boxed, so that the future of the control task stays small.
                if let Err(ending) = Box::pin(self.read(index, how, check)).await {
                    ending.count(scene);
                }
            }
        }
    }

    async fn read(
        &mut self,
        index: u32,
        how: How,
        check: impl FnOnce(&[u8]) -> Result<(), String>,
    ) -> Result<(), Ending> {
        let path = self.scene.file_path(index);
        let read = match how {
            How::Await | How::Forced => {
                let read = waiting!(R, self.scene, self.runtime.read_file(path));
                read.map(|contents| check(&contents))
            }
            How::Polling => {
                let read = match FileAttempts::open(path) {
                    Ok(mut file) => attempts::<R, _>(|| file.go_on()).await,
                    Err(error) => Err(error),
                };
                read.map(|contents| check(&contents))
            }
            How::Blocking | How::Offload => {
                let read = move || std::fs::read(path);
                let read = self.wait_here_or_offloaded("read_file", how, read).await?;
                read.map(|contents| check(&contents))
            }
        };
        read.map_err(|error| Ending::error("read_file", &error))?.map_err(Ending::WrongAnswer)
    }

    fn choose(&mut self, choice: FileChoice, count: u32) -> u32 {
        match choice {
            FileChoice::Index(index) => index,
            // Each task starts at its own share of the files.
            FileChoice::Next => {
                let begin = u64::from(self.place.index) * u64::from(count)
                    / u64::from(self.place.of.max(1));
                ((begin + self.files_read) % u64::from(count)) as u32
            }
            FileChoice::Random => (self.draw() % u64::from(count)) as u32,
        }
    }

    pub(super) fn draw(&mut self) -> u64 {
        self.chance ^= self.chance << 13;
        self.chance ^= self.chance >> 7;
        self.chance ^= self.chance << 17;
        self.chance
    }
}
