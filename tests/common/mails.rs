//! Mails as they leave.

use raccord::{domain::random, mail::MailSender, settings::Settings};

use super::portal::{KEY_FILE, TestPortal};

impl TestPortal {
    /// Sends the waiting mails as the mail sender does; each as it leaves.
    pub async fn send_mails(&self) -> Vec<String> {
        self.send_mails_while("SELECT count(*) FROM mails WHERE sent_at IS NULL").await
    }

    /// The same for as long as this query counts something.
    pub async fn send_mails_while(&self, count: &'static str) -> Vec<String> {
        let directory = std::env::temp_dir().join(format!("raccord-mails-{}", random::token(&mut random::os_rng())));
        let given = |name: &str| match name {
            "RACCORD_DATA_DIR" => Some(directory.to_string_lossy().into_owned()),
            _ => (name == KEY_FILE.0).then(|| KEY_FILE.1.to_owned()),
        };
        let sender = MailSender::open(&Settings::read(given).expect("sound settings")).expect("a mail sender");
        let sent = async {
            while self.number(count, &[]).await > 0 {
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
        };
        sender.run(self.pool.clone(), sent).await;
        let mut mails = Vec::new();
        let mut folders = vec![directory.clone()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
                if entry.path().is_dir() {
                    folders.push(entry.path());
                    continue;
                }
                mails.push(std::fs::read_to_string(entry.path()).expect("a mail").replace("=\r\n", ""));
            }
        }
        let _ = std::fs::remove_dir_all(directory);
        mails
    }
}
