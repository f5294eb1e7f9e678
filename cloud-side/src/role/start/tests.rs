use super::*;
use crate::testing::site::Site;

#[tokio::test]
async fn a_role_whose_catalog_is_lost_does_not_start_on_a_fresh_one() {
    let mut site = Site::start().await;
    site.group().await;
    site.stop().await;
    let catalog = StateFiles::new(&site.config.state_directory).catalog();
    let kept = catalog.with_extension("kept");
    std::fs::rename(&catalog, &kept).unwrap();
    let refused = async |how: &str| {
        let storage = Arc::new(RealStorage::new());
        let target: Arc<dyn Target> = site.target.clone();
        let stop = CancellationToken::new();
        let started = start_on(site.config.clone(), storage, target, stop).await;
        let told = started.unwrap_err().to_string();
        assert!(told.contains(how) && told.contains("backup"), "{told}");
        let token = crate::init::create_token(
            &site.config.state_directory,
            "another",
            bcdr_http::Role::Viewer,
        );
        let told = token.unwrap_err().to_string();
        assert!(told.contains(how) && told.contains("backup"), "{told}");
    };
    refused("missing").await;
    assert!(!catalog.exists());
    std::fs::write(&catalog, b"").unwrap();
    refused("an empty file").await;
    std::fs::rename(&kept, &catalog).unwrap();
    site.resume().await;
    site.get("/api/v1/groups/lab").await.expect(200);
}
