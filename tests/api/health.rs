use super::support::{Api, Away, NOW_US};
use actix_web::http::StatusCode;
use actix_web::test::TestRequest;
use std::sync::Arc;
use weir::api::Phase;
use weir::clock::Manual;

#[actix_web::test]
async fn a_node_is_ready_between_its_start_and_its_drain() {
    let api = Api::new();
    for (phase, status, state) in [
        (Phase::Starting, StatusCode::SERVICE_UNAVAILABLE, "starting"),
        (Phase::Ready, StatusCode::OK, "ready"),
        (Phase::Draining, StatusCode::SERVICE_UNAVAILABLE, "draining"),
    ] {
        api.health().enter(phase);
        let answer = api.send(TestRequest::with_uri("/readyz")).await;
        assert_eq!((answer.status, answer.text("/state"), answer.text("/sql")), (status, state, "ok"));
        assert_eq!(api.send(TestRequest::with_uri("/livez")).await.status, StatusCode::OK);
    }
}

#[actix_web::test]
async fn a_node_whose_database_is_away_is_ready_and_says_so() {
    let api = Api::over(Arc::new(Away), Arc::new(Manual::at(NOW_US)));
    let answer = api.send(TestRequest::with_uri("/readyz")).await;
    assert_eq!((answer.status, answer.text("/sql")), (StatusCode::OK, "away"));
}

#[actix_web::test]
async fn the_api_says_503_while_the_database_is_away() {
    let api = Api::over(Arc::new(Away), Arc::new(Manual::at(NOW_US)));
    for path in ["/tenants", "/streams", "/streams/str_a", "/api-keys", "/audit"] {
        let answer = api.get(path).await;
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{path}");
        assert_eq!((answer.text("/code"), answer.header("retry-after")), ("unavailable", Some("1")));
    }
    let unknown = api.with_key(&"k".repeat(40)).get("/streams").await;
    assert_eq!(unknown.status, StatusCode::SERVICE_UNAVAILABLE);
}
