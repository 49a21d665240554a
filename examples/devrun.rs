use raccord::{db, domain::password::Argon2id, serve, settings::Settings};
#[tokio::main]
async fn main() {
    tracing_subscriber::fmt().with_env_filter("info").init();
    let s = Settings::read(|n| std::env::var(n).ok()).unwrap();
    let pool = db::pool(s.database.clone().unwrap(), 20);
    db::migrate(&pool).await.unwrap();
    let n: i64 = sqlx::query_scalar("select count(*) from users").fetch_one(&pool).await.unwrap();
    if n == 0 {
        let hash = Argon2id::default().hash("une phrase de passe", [3; 16]);
        for (l, f, n) in [
            ("claire.fontaine@raccord.example", "Claire", "Fontaine"),
            ("marc.lefevre@raccord.example", "Marc", "Lefèvre"),
        ] {
            sqlx::query(
                "insert into users(login,first_name,last_name,contact_address,password_hash) values ($1,$2,$3,$1,$4)",
            )
            .bind(l)
            .bind(f)
            .bind(n)
            .bind(hash.as_phc())
            .execute(&pool)
            .await
            .unwrap();
        }
        let csv = std::fs::read_to_string("/work/shared/data/annuaire-communes.csv").unwrap();
        for line in csv.lines().skip(1).take(300) {
            let c: Vec<&str> = line.split(';').collect();
            let mut tx = pool.begin().await.unwrap();
            let id: i64 = sqlx::query_scalar("insert into structures(identifier_type,identifier,designation,address_line,postal_code,city,managed,principal_manager_id) values ('SIRET',$1,$2,$3,$4,$5,true,1) returning id").bind(c[1]).bind(c[2]).bind(c[12]).bind(c[15]).bind(c[16]).fetch_one(&mut *tx).await.unwrap();
            sqlx::query("insert into memberships(user_id,structure_id,role) values (1,$1,'PRINCIPAL_MANAGER'),(2,$1,'SECONDARY_MANAGER')").bind(id).execute(&mut *tx).await.unwrap();
            tx.commit().await.unwrap();
        }
    }
    serve::run(s, pool).await.unwrap();
}
